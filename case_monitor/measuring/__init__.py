"""The measuring side: images through a model, and what comes out as arrays and numbers."""
