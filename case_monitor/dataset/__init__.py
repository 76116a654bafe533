"""Validation splits: read by a spec from the configuration, preprocessed for the model, named by a digest."""

from case_monitor.dataset.load import load_split
from case_monitor.dataset.one_image import read_image
from case_monitor.dataset.preparation import prepare
from case_monitor.dataset.prepared_images import PreparedImages
from case_monitor.dataset.raw_split import RawSplit
from case_monitor.dataset.read_transform import preprocessing_of

__all__ = ["PreparedImages", "RawSplit", "load_split", "prepare", "preprocessing_of", "read_image"]
