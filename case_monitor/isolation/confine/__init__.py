"""A process shuts itself in before it loads a model: a session of its own, limits, Landlock and seccomp."""
