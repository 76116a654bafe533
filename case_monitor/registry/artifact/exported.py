"""A file `model.pt2`: an exported program, its tensors, and the inputs that it was traced with."""

import io
import math
import pickletools
import re
from pathlib import Path
from typing import Any

from case_monitor.registry.artifact.archive import Archive
from case_monitor.registry.artifact.files import PROGRAM
from case_monitor.registry.artifact.program import complaint, read_json
from case_monitor.registry.artifact.refusal import shown

_MIB = 1 << 20
_PROGRAM, _INPUTS = "models/model.json", "data/sample_inputs/model.pt"
_TABLES = {"data/weights/model_weights_config.json": "weight_", "data/constants/model_constants_config.json": "tensor_"}
_LABELS = {
    "archive_format": rb"pt2",
    "archive_version": rb"\d{1,3}",
    "byteorder": rb"little|big",
    ".data/version": rb"\d{1,3}\n?",
    ".data/serialization_id": rb"\d{1,60}",
}
_OPTIONAL = {"byteorder", ".data/version", ".data/serialization_id"}
_TENSOR = re.compile(r"data/(weights/weight|constants/tensor)_\d{1,6}", re.ASCII)

# torch.load's own form: one pickle, and the bytes of tensors.
_SAVED = re.compile(
    r"data\.pkl|\.format_version|\.storage_alignment|byteorder|version|\.data/serialization_id|data/\d{1,4}", re.ASCII
)
_GLOBALS = {"torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter", "collections OrderedDict"} | {
    f"torch {kind}Storage"
    for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
}
# What builds tuples, lists, dicts and numbers, and calls the globals above. Not among them: BUILD, NEWOBJ and such.
_BUILDING = """
    PROTO STOP MARK TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_TUPLE EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM SETITEMS NONE
    NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE BINPUT LONG_BINPUT BINGET LONG_BINGET BINPERSID
    GLOBAL REDUCE
"""
_OPCODES = frozenset(_BUILDING.split())


def check_exported(folder: Path) -> None:
    """See that a model was exported by torch, and that loading it runs nothing but torch's known operators.

    Raises:
        Refusal: something else is in it.
    """
    with (folder / PROGRAM).open("rb") as stream:
        archive = Archive(stream, PROGRAM)
        known = {_PROGRAM, _INPUTS, *_TABLES, *_LABELS}
        for member in archive.members:
            if member not in known and not _TENSOR.fullmatch(member):
                raise archive.refusal("an exported program and its tensors", "something else", member)
        _check_labels(archive)
        for table, prefix in _TABLES.items():
            _check_table(archive, table, prefix)
        _checked_json(archive, _PROGRAM, 1024 * _MIB)
        _check_inputs(archive)


def _check_labels(archive: Archive) -> None:
    for label, pattern in _LABELS.items():
        if label in _OPTIONAL and label not in archive.members:
            continue
        content = archive.read(label, 100)
        if not re.fullmatch(pattern, content):
            raise archive.refusal("what torch writes there", shown(content), label)


def _check_table(archive: Archive, table: str, prefix: str) -> None:
    """Which bytes are which tensor; none may be a pickle."""
    config = _checked_json(archive, table, 64 * _MIB).get("config")
    for name, tensor in config.items() if isinstance(config, dict) else ():
        path = tensor.get("path_name") if isinstance(tensor, dict) else None
        if not isinstance(path, str) or not path.startswith(prefix) or tensor.get("use_pickle") is not False:
            raise archive.refusal(f"{shown(name)} as the bytes of a {prefix}", "another thing", table)
        member = table.rpartition("/")[0] + f"/{path}"
        if member not in archive.members:
            raise archive.refusal(f"{member} in it", "none")
        if not archive.size(member) and _count(tensor):
            raise archive.refusal("the bytes of a tensor", "none", member)


def _count(tensor: Any) -> int:
    """How many numbers a tensor says to have."""
    return math.prod(size["as_int"] for size in tensor["tensor_meta"]["sizes"])


def _checked_json(archive: Archive, member: str, limit: int) -> dict[str, object]:
    content = read_json(archive.read(member, limit))
    if not isinstance(content, dict):
        raise archive.refusal("plain JSON", "something else", member)
    found = complaint(content)
    if found is not None:
        expected, came = found
        raise archive.refusal(expected, came, member)
    return content


def _check_inputs(archive: Archive) -> None:
    """The inputs are a pickle in torch's own form, which its loader would read without restrictions."""
    raw = archive.read(_INPUTS, 4096 * _MIB)
    saved = Archive(io.BytesIO(raw), f"{PROGRAM}: {_INPUTS}")
    for member in saved.members:
        if not _SAVED.fullmatch(member):
            raise saved.refusal("tensors", "something else", member)
    odd = _odd_opcode(saved.read("data.pkl", _MIB))
    if odd is not None:
        raise saved.refusal("tensors in tuples, lists and dicts", shown(odd), "data.pkl")


def _odd_opcode(content: bytes) -> str | None:
    """What a pickle does besides building tensors; nothing of it is executed."""
    end = 0
    try:
        for opcode, argument, position in pickletools.genops(content):
            if opcode.name not in _OPCODES:
                return opcode.name
            if opcode.name == "GLOBAL" and argument not in _GLOBALS:
                return str(argument)
            end = (position or 0) + 1
    except ValueError:
        return "no pickle"
    return None if end == len(content) else "more than one pickle"
