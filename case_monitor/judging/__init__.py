"""From figures to a verdict. Never imports torch: what decides cannot be patched by what it judges."""
