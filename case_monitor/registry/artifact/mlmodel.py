"""What the MLmodel file may tell a loader."""

from pathlib import Path
from typing import Any

import yaml

from case_monitor.registry.artifact.refusal import Refusal, shown

_FILE = "MLmodel"
_LOADER = "mlflow.pytorch"


class _PlainLoader(yaml.SafeLoader):
    """Safe, and without aliases and repeated fields, of which two readers may make different things."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias")
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(keys) != len(node.value) or len(set(keys)) != len(keys):
            raise yaml.YAMLError("a field that comes twice, or whose name is no text")
        return node


def check_mlmodel(folder: Path) -> None:
    """See that MLmodel names a PyTorch model in `data`, and no code of its own.

    Raises:
        Refusal: it says something else, or cannot be read.
    """
    flavors = _mapping(_read(folder / _FILE), "flavors")
    for flavor in flavors:
        _expect(flavor in {"pytorch", "python_function"}, "the flavour pytorch", flavor)
    pytorch = _mapping(flavors, "pytorch")
    _expect(pytorch.get("model_data") == "data", "pytorch.model_data: data", pytorch.get("model_data"))
    for name in flavors:
        code = _mapping(flavors, name).get("code")
        _expect(not code, f"{name} without code", code)
    function = flavors.get("python_function")
    if function is not None:
        loader = function.get("loader_module")
        _expect(loader == _LOADER, f"python_function.loader_module: {_LOADER}", loader)


def _read(path: Path) -> object:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _PlainLoader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Refusal(_FILE, "plain YAML", shown(str(error))) from None


def _mapping(content: Any, name: str) -> dict[str, Any]:
    found = content.get(name) if isinstance(content, dict) else None
    if not isinstance(found, dict):
        raise Refusal(_FILE, f"fields below {name}", type(found).__name__)
    return found


def _expect(condition: bool, expected: str, came: object) -> None:
    if not condition:
        raise Refusal(_FILE, expected, shown(came))
