"""The JSON of an exported program: what it names is evaluated, looked up, or written into Python by its loader."""

import json
import re
from collections.abc import Callable
from typing import Any

from case_monitor.registry.artifact.expressions import is_expression, is_guard
from case_monitor.registry.artifact.operators import is_operator
from case_monitor.registry.artifact.refusal import shown

_DEEPEST = 60
Rule = Callable[[str], bool]
Complaint = tuple[str, str]  # what was expected, and what came


def _matches(pattern: str) -> Rule:
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: compiled.fullmatch(text) is not None


_is_name = _matches(r"[A-Za-z_]\w{0,250}")
# Of a module or a tensor, and not `__class__` or the like.
_is_path = _matches(r"(?!.*(^|\.)__)[\w-]{1,250}(\.[\w-]{1,250}){0,50}")
_is_symbol = _matches(r"[su]\d{1,4}")


def _is_tree(text: str) -> bool:
    """Whether inputs or outputs are tensors in tuples, lists and dicts with plain keys."""
    content = read_json(text.encode())
    return isinstance(content, list) and len(content) == 2 and content[0] == 1 and _is_node(content[1])


def _is_node(node: object, depth: int = 0) -> bool:
    if depth > _DEEPEST or not isinstance(node, dict) or set(node) != {"type", "context", "children_spec"}:
        return False
    kind, context, below = node["type"], node["context"], node["children_spec"]
    if not isinstance(below, list) or not all(_is_node(child, depth + 1) for child in below):
        return False
    if kind is None:
        return bool(context is None and not below)
    if kind in {"builtins.tuple", "builtins.list"}:
        return bool(context == "null")
    keys = read_json(context.encode()) if kind == "builtins.dict" and isinstance(context, str) else None
    return isinstance(keys, list) and all(isinstance(key, str) and _is_name(key) for key in keys)


# A text may stand below these fields only, and must be of this form.
_TEXTS: dict[str, tuple[str, Rule]] = {
    "expr_str": ("plain arithmetic of sizes", is_expression),
    "guards_code": ("a comparison of sizes", is_guard),
    "target": ("an operator of torch.ops.aten that is known", is_operator),
    "name": ("a name", lambda text: not text or _is_name(text)),
    "as_name": ("a name", _is_name),
    "user_input_name": ("a name", _is_name),
    "forward_arg_names": ("a name", _is_name),
    "parameter_name": ("a dotted name", _is_path),
    "buffer_name": ("a dotted name", _is_path),
    "tensor_constant_name": ("a dotted name", _is_path),
    "fqn": ("a dotted name", lambda text: not text or _is_path(text.partition("@")[0])),
    "in_spec": ("tuples, lists and dicts", _is_tree),
    "out_spec": ("tuples, lists and dicts", _is_tree),
    "verifiers": ("TRAINING or ATEN", lambda text: text in {"TRAINING", "ATEN"}),
    "torch_version": ("a version", _matches(r"[\w.+<=-]{1,60}")),
    "type": ("cpu or cuda", lambda text: text in {"cpu", "cuda"}),
    "as_string": ("a plain word", _matches(r"[\w ,.>-]{0,100}")),
    "as_strings": ("a plain word", _matches(r"[\w ,.>-]{0,100}")),
    "as_float": ("a number", lambda text: text in {"Infinity", "-Infinity", "NaN"}),
    "as_floats": ("a number", lambda text: text in {"Infinity", "-Infinity", "NaN"}),
    "path_name": ("weight_ or tensor_ and a number", _matches(r"(weight|tensor)_\d{1,6}")),
    "metadata.": ("a text", _matches(r"(?s:.*)")),  # where a line was in its author's files: read by people only
}
# Fields whose own fields are names, and what those must be.
_MAPS: dict[str, tuple[str, Rule]] = {
    "tensor_values": ("a name", _is_name),
    "sym_int_values": ("a name", _is_name),
    "sym_float_values": ("a name", _is_name),
    "sym_bool_values": ("a name", _is_name),
    "range_constraints": ("a symbol", _is_symbol),
    "opset_version": ("aten", lambda text: text == "aten"),
    "config": ("a dotted name", _is_path),
    "metadata": (
        "nn_module_stack, stack_trace, torch_fn, source_fn_stack or from_node",
        lambda text: text in {"nn_module_stack", "stack_trace", "torch_fn", "source_fn_stack", "from_node"},
    ),
    "custom_obj_values": ("nothing", _matches(r"(?!)")),
    "treespec_namedtuple_fields": ("nothing", _matches(r"(?!)")),
}
# Not among them: graphs within graphs, objects of other classes, and operators as arguments.
_KNOWN = """
    graph_module graph inputs outputs nodes tensor_values sym_int_values sym_bool_values sym_float_values
    custom_obj_values is_single_tensor_return target metadata is_hop_single_tensor_return name arg kind
    as_none as_tensor as_tensors as_int as_ints as_float as_floats as_string as_strings as_sym_int as_sym_ints
    as_scalar_type as_memory_format as_layout as_device as_bool as_bools as_sym_bool as_sym_bools as_optional_tensors
    as_sym_float as_sym_floats as_optional_tensor as_nested_tensors as_int_lists as_float_lists as_name as_expr
    as_complex real imag expr_str hint dtype sizes requires_grad device strides storage_offset layout type index
    signature input_specs output_specs user_input parameter buffer tensor_constant parameter_name buffer_name
    tensor_constant_name persistent constant_input value user_output buffer_mutation
    module_call_graph fqn in_spec out_spec forward_arg_names treespec_namedtuple_fields
    opset_version range_constraints min_val max_val schema_version major minor verifiers torch_version guards_code
    config path_name is_param use_pickle tensor_meta
"""
_FIELDS = frozenset(_KNOWN.split())


def read_json(raw: bytes) -> object:
    """What JSON says, where no two readers can differ about it; None where it is none."""
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(fields := dict(pairs)) != len(pairs):
        raise ValueError("a field that comes twice")
    return fields


def _no_constant(name: str) -> object:
    raise ValueError(name)


def complaint(content: object, below: str = "", depth: int = 0) -> Complaint | None:
    """What first does not belong into an exported program or a table of its tensors; None where all does."""
    if depth > _DEEPEST:
        return "few levels", "many"
    if isinstance(content, str):
        return _of_text(content, below)
    if isinstance(content, list):
        return _first(complaint(item, below, depth + 1) for item in content)
    if not isinstance(content, dict):
        return None
    is_map = below in _MAPS
    expected, rule = _MAPS[below] if is_map else ("a field of an exported program", _FIELDS.__contains__)
    odd = next((name for name in content if not rule(name)), None)
    if odd is not None:
        return expected, shown(odd)
    return _first(complaint(item, f"{below}." if is_map else name, depth + 1) for name, item in content.items())


def _of_text(text: str, below: str) -> Complaint | None:
    if below not in _TEXTS:
        return f"no text below {below or 'the top'}", shown(text)
    expected, rule = _TEXTS[below]
    return None if rule(text) else (expected, shown(text))


def _first(complaints: Any) -> Complaint | None:
    return next((found for found in complaints if found is not None), None)
