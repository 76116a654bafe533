"""Hostile versions, as small as they can be: what each does when it is loaded is write one file, the canary."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow.pytorch
import numpy as np
import torch
from mlflow.models import infer_signature
from torch import nn

MEMBER = "model/"
PROGRAM, WEIGHTS, CONSTANTS, INPUTS = (
    f"{MEMBER}{name}"
    for name in (
        "models/model.json",
        "data/weights/model_weights_config.json",
        "data/constants/model_constants_config.json",
        "data/sample_inputs/model.pt",
    )
)
Members = dict[str, bytes]
Change = Callable[[Members, str], None]


class Small(nn.Module):
    """A classifier with a parameter, a buffer and a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 5)
        self.scale = torch.ones(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = torch.relu(self.norm(self.conv(x)))
        return self.fc(maps.mean((2, 3)) * self.scale)


class Runs:
    """A pickle of it runs a statement."""

    def __init__(self, statement: str) -> None:
        self.statement = statement

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (self.statement,)


def save(folder: Path, model: nn.Module, side: int = 8, **arguments: Any) -> Path:
    """A version as MLflow logs it."""
    example = np.zeros((2, 3, side, side), np.float32)
    logits = model.eval()(torch.zeros(2, 3, side, side)).detach().numpy()
    options = {"serialization_format": "pt2", "input_example": example, "pip_requirements": ["torch"]}
    mlflow.pytorch.save_model(model, str(folder), signature=infer_signature(example, logits), **(options | arguments))
    return folder


def statement(canary: Path) -> str:
    return f"open({str(canary)!r}, 'w').close()"


def members_of(program: Path) -> Members:
    with zipfile.ZipFile(program) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_plainly(program: Path, members: Members) -> None:
    """As any zip program would: still of torch's form."""
    with zipfile.ZipFile(program, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)


def write_as_torch(program: Path, members: Members) -> None:
    """With torch's own writer, which adds its labels."""
    writer = torch._C.PyTorchFileWriter(str(program))
    writer.set_min_version(6)
    labels = {f"{MEMBER}{name}" for name in (".data/version", ".data/serialization_id", "byteorder")}
    for name, content in members.items():
        if name not in labels:
            writer.write_record(name.removeprefix(MEMBER), content, len(content))
    writer.write_end_of_file()


def changed(member: str, change: Callable[[Any, str], Any]) -> Change:
    """The JSON of a member, changed; `change` gets what was in it and the statement to run."""

    def apply(members: Members, run: str) -> None:
        content = json.loads(members[member])
        change(content, run)
        members[member] = json.dumps(content).encode()

    return apply


def _expression(program: Any, run: str) -> None:
    values = program["graph_module"]["graph"]["tensor_values"]
    sizes = next(size for value in values.values() for size in value["sizes"] if "as_expr" in size)
    sizes["as_expr"]["expr_str"] = f"Integer(2 + 0*len(str(exec({run!r}))))"


def _guard(program: Any, run: str) -> None:
    program["guards_code"].append(f"[L['x'].size()[0], exec(bytes({list(run.encode())}))][0] > 0")


def _target(program: Any, run: str) -> None:
    program["graph_module"]["graph"]["nodes"][-1]["target"] = "torch.hub.load"


def _file_operator(program: Any, run: str) -> None:
    program["graph_module"]["graph"]["nodes"][-1]["target"] = "torch.ops.aten.from_file.default"


def _node_name(program: Any, run: str) -> None:
    program["graph_module"]["graph"]["nodes"][0]["name"] = f"a = {run}; b"


def _argument_name(program: Any, run: str) -> None:
    program["graph_module"]["module_call_graph"][0]["signature"]["forward_arg_names"] = [f"x=[{run}]"]


def _tree(program: Any, run: str) -> None:
    signature = program["graph_module"]["module_call_graph"][0]["signature"]
    signature["out_spec"] = json.dumps([1, {"type": "os.system", "context": '"ls"', "children_spec": []}])


def _graph_in_graph(program: Any, run: str) -> None:
    node = program["graph_module"]["graph"]["nodes"][0]
    node["inputs"][0]["arg"] = {
        "as_graph": {"name": "g", "graph": json.loads(json.dumps(program["graph_module"]["graph"]))}
    }


def _operator_argument(program: Any, run: str) -> None:
    program["graph_module"]["graph"]["nodes"][0]["inputs"][0]["arg"] = {"as_operator": "torch.hub.load"}


def _class_name(program: Any, run: str) -> None:
    buffer = next(s for s in program["graph_module"]["signature"]["input_specs"] if "buffer" in s)
    buffer["buffer"]["buffer_name"] = "__class__"


def _levels(members: Members, run: str) -> None:
    members[PROGRAM] = b'{"graph_module":' * 5000 + b"1" + b"}" * 5000


def _twice(members: Members, run: str) -> None:
    members[PROGRAM] = members[PROGRAM][:-1] + b', "guards_code": []}'


def _pickled_inputs(members: Members, run: str) -> None:
    stream = io.BytesIO()
    torch.save(((torch.zeros(2, 3, 8, 8), Runs(run)), {}), stream)
    members[INPUTS] = stream.getvalue()


def _bare_inputs(members: Members, run: str) -> None:
    members[INPUTS] = pickle.dumps(Runs(run))


def _script_inputs(members: Members, run: str) -> None:
    stream = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.ReLU()), stream)
    members[INPUTS] = stream.getvalue()


def _pickled_weight(members: Members, run: str) -> None:
    stream = io.BytesIO()
    torch.save(Runs(run), stream)
    table = json.loads(members[WEIGHTS])
    first = next(iter(table["config"].values()))
    first["use_pickle"] = True
    members[f"{MEMBER}data/weights/{first['path_name']}"] = stream.getvalue()
    members[WEIGHTS] = json.dumps(table).encode()


def _opaque_constant(members: Members, run: str) -> None:
    table = json.loads(members[CONSTANTS])
    table["config"]["other"] = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    members[CONSTANTS] = json.dumps(table).encode()
    members[f"{MEMBER}data/constants/opaque_obj_0"] = pickle.dumps(Runs(run))


def _large_from_nothing(members: Members, run: str) -> None:
    table = json.loads(members[WEIGHTS])
    first = next(iter(table["config"].values()))
    first["tensor_meta"]["sizes"] = [{"as_int": 1 << 40}]
    members[f"{MEMBER}data/weights/{first['path_name']}"] = b""
    members[WEIGHTS] = json.dumps(table).encode()


def _also(name: str) -> Change:
    def apply(members: Members, run: str) -> None:
        members[f"{MEMBER}{name}"] = pickle.dumps(Runs(run))

    return apply


RUNNING: dict[str, Change] = {
    "an expression that is Python": changed(PROGRAM, _expression),
    "a guard that is Python": changed(PROGRAM, _guard),
    "a pickle among the inputs": _pickled_inputs,
    "a pickle instead of the inputs": _bare_inputs,
    "a pickle as a weight": _pickled_weight,
    "a pickle as a constant": _opaque_constant,
}
"""By what is wrong with it: each runs its statement where it is loaded unasked."""
ODD: dict[str, Change] = {
    "a function of Python as an operator": changed(PROGRAM, _target),
    "an operator that opens files": changed(PROGRAM, _file_operator),
    "a name that is a statement": changed(PROGRAM, _node_name),
    "an argument's name that is a default": changed(PROGRAM, _argument_name),
    "another class in the outputs": changed(PROGRAM, _tree),
    "a graph in the graph": changed(PROGRAM, _graph_in_graph),
    "an operator as an argument": changed(PROGRAM, _operator_argument),
    "a buffer that is the class": changed(PROGRAM, _class_name),
    "5000 levels": _levels,
    "a field twice": _twice,
    "a script as inputs": _script_inputs,
    "a large tensor from no bytes": _large_from_nothing,
    "a second program": _also("models/other.json"),
    "weights of the form before": _also("data/weights/model.pt"),
    "a compiled library": _also("data/aotinductor/model/model.so"),
    "a file for the caller": _also("extra/notes.txt"),
    "an archive in the archive": _also("data/weights/more.zip"),
}
"""Those that are refused whether or not torch of this version would have run them."""
