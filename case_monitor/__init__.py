"""case_monitor watches whether the explanations of deployed image classifiers still tell classes apart."""

__version__ = "0.1.0"
