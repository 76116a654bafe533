"""P values in words: without what computes them, which takes a second to import."""

import math


def p_text(p: float) -> str:
    """A p value for people; empty where there is none.

    Example:
        >>> p_text(0.0312), p_text(1e-9), p_text(float("nan"))
        ('0.031', '<0.001', '')
    """
    if math.isnan(p):
        return ""
    return "<0.001" if p < 0.001 else f"{p:.2g}"
