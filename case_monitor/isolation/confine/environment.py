"""What a process that runs a model knows of its surroundings."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

# What decides how torch computes, and how times and texts are written. `NVIDIA_*` as a whole would let an API key in.
_NAMES = """
LANG LANGUAGE TZ PYTHONHASHSEED GLIBC_TUNABLES LD_LIBRARY_PATH
CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER CUDA_LAUNCH_BLOCKING CUDA_MODULE_LOADING CUBLAS_WORKSPACE_CONFIG
NVIDIA_VISIBLE_DEVICES NVIDIA_DRIVER_CAPABILITIES NVIDIA_TF32_OVERRIDE
TORCH_ALLOW_TF32_CUBLAS_OVERRIDE TORCH_CUDNN_V8_API_DISABLED PYTORCH_CUDA_ALLOC_CONF PYTORCH_ALLOC_CONF
"""
_PREFIXES = ("ATEN_", "DNNL_", "GOMP_", "KMP_", "LC_", "MKL_", "OMP_", "ONEDNN_", "OPENBLAS_")
# Where cores are busy, threads that spin while they wait take the time of those that they wait for.
_DEFAULTS = {"OMP_WAIT_POLICY": "passive"}
_PLACES = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "TORCH_HOME")


def scrubbed(environment: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """What of an environment a process that runs models may see; its places all lie in its scratch directory.

    There is no PATH: nothing may be executed. Give it to the program that forks such processes when that is started: a
    fork keeps its parent's memory, and with it the environment that the parent was started with.
    """
    names = set(_NAMES.split())
    kept = {name: value for name, value in environment.items() if name in names or name.startswith(_PREFIXES)}
    return _DEFAULTS | kept | dict.fromkeys(_PLACES, str(scratch))


def replace_environment(scratch: Path) -> None:
    """Leave this process nothing but the scrubbed environment."""
    kept = scrubbed(os.environ, scratch)
    os.environ.clear()
    os.environ.update(kept)
    tempfile.tempdir = None  # a directory that somebody asked for before
