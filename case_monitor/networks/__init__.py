"""Networks that a study makes for itself: trained here, or built with weights from a file, and registered as any other.

Runs in a process of its own: who judges imports no torch.
"""
