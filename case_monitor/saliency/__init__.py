"""Saliency maps of image classifiers: CASE and its peers, from one shared forward pass.

>>> import torch
>>> from torch import nn
>>> _ = torch.manual_seed(0)
>>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
>>> images, targets = torch.rand(2, 3, 16, 16), torch.tensor([[0, 1], [3, 2]])
>>> maps = saliency_maps(model, images, targets, target_layer="1", methods=("case", "gradcam"))
>>> maps["case"].shape
torch.Size([2, 2, 16, 16])
"""

from case_monitor.saliency.candidate_layers import MOST_LAYERS, candidate_layers
from case_monitor.saliency.evidence import PAIR, PLACE, SHOWN, evidence_maps
from case_monitor.saliency.find_layer import find_target_layer, require_picture
from case_monitor.saliency.forward import fast_weights, fastest_forward
from case_monitor.saliency.maps import CENTRED, GRADIENT_METHODS, METHODS, OWN_PAIR, resize_maps, saliency_maps
from case_monitor.saliency.memory import batch_size_for, most_rows
from case_monitor.saliency.outputs import Outputs
from case_monitor.saliency.taps import Tap, inspecting, taken_type, tap_layer
from case_monitor.saliency.target_layer import TargetLayer

__all__ = [
    "CENTRED",
    "GRADIENT_METHODS",
    "METHODS",
    "MOST_LAYERS",
    "OWN_PAIR",
    "PAIR",
    "PLACE",
    "SHOWN",
    "Outputs",
    "Tap",
    "TargetLayer",
    "batch_size_for",
    "candidate_layers",
    "evidence_maps",
    "fast_weights",
    "fastest_forward",
    "find_target_layer",
    "inspecting",
    "most_rows",
    "require_picture",
    "resize_maps",
    "saliency_maps",
    "taken_type",
    "tap_layer",
]
