"""Images of one evaluation with their saliency maps."""
