"""Several versions of a model, trained with different seeds."""
