"""The confusion matrix of one evaluation."""
