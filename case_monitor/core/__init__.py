"""The domain: saliency, its diagnostics and the verdict. Imports torch, numpy and scipy only."""
