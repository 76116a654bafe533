"""Effect sizes."""

import numpy as np


def rate_difference_effect(rate: float, reference: float) -> float:
    """Cohen's h: the difference of two rates after an arcsine transformation, which makes their variance equal."""
    return float(2 * np.arcsin(np.sqrt(rate)) - 2 * np.arcsin(np.sqrt(reference)))
