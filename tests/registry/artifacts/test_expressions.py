"""Sizes as text: plain arithmetic is one, whatever else Python or SymPy would evaluate is none."""

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from case_monitor.registry.artifact.expressions import is_expression, is_guard
from case_monitor.registry.artifact.operators import is_operator

ATOMS = st.one_of(
    st.integers(-(10**18), 10**18).map(sympy.Integer),
    st.integers(0, 99).map(lambda i: sympy.Symbol(f"s{i}", positive=True, integer=True)),
)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda below: st.tuples(st.sampled_from([sympy.Add, sympy.Mul, sympy.Max, sympy.Min]), below, below).map(
        lambda made: made[0](made[1], made[2])
    ),
    max_leaves=4,
)


@given(EXPRESSIONS)
def test_what_torch_writes_for_arithmetic_is_an_expression(expression: sympy.Expr) -> None:
    text = sympy.srepr(expression)
    large = any(abs(number) >= 10**19 or abs(number) == sympy.oo for number in expression.atoms(sympy.Number))
    powers = any(power.exp > 4 or not power.base.is_Symbol for power in expression.atoms(sympy.Pow))
    assert is_expression(text) or large or powers


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s77",
        "Mul",
        "Mul()",
        "Mul(Integer(2)",
        "Integer(2))",
        "Integer(2) ",
        "Integer(2)\n",
        "Integer(2).x",
        "Integer(2)(Integer(2))",
        "Integer(2) if 1 else 2",
        "Integer(99999999999999999999)",
        "Pow(Integer(3), Integer(3))",
        "Pow(Symbol('s0', positive=True, integer=True), Integer(9))",
        "Symbol('x', integer=True)",
        "Symbol('s0', commutative=False)",
        "Symbol('s0', integer=exit())",
        "Symbol('s0')()",
        "__import__('os')",
        "Mul(Integer(2), __import__('os').system('ls'))",
        "XMul(Integer(2))",
        "Mul(Integer(2), [])",
        "Lambda(Integer(2))",
        "\x01",
        "Mul(\x03)",
        "Mul(" * 900 + "Integer(2)" + ")" * 900,
        "true()",
    ],
)
def test_what_is_no_expression(text: str) -> None:
    assert not is_expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "L['x'].size()[3] // 2 != 1",
        "(torch.sym_max(1, L['x'].size()[3] // 2)*torch.sym_max(1, L['args'][0].size()[2])) != 1",
        "L['x'].size()[0] <= 64",
    ],
)
def test_guards(text: str) -> None:
    assert is_guard(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "exit()",
        "L['x'].__class__",
        "L['x'].size",
        "9 ** 9",
        "9**9",
        "1 << 99",
        "1<<99",
        'L["x"].size()[0]',
        "L['x'].size()[0] # 1",
        "L['x'].size()[0]\n1",
        "torch.load(1)",
        "torch.sym_max",
        "[1]",
        "1" * 60 + "!",
        "L['x'].size()[0] > 1; 2",
        "1.5",
        "٣",
    ],
)
def test_what_is_no_guard(text: str) -> None:
    assert not is_guard(text)


@pytest.mark.parametrize("target", ["torch.ops.aten.conv2d.default", "torch.ops.aten.add_.Tensor", "_operator.mul"])
def test_operators(target: str) -> None:
    assert is_operator(target)


@pytest.mark.parametrize(
    "target",
    [
        "torch.ops.aten.from_file.default",
        "torch.ops.aten.save.default",
        "torch.ops.aten.conv2d",
        "torch.ops.aten.conv2d.default.x",
        "torch.ops.aten.conv2d.__class__",
        "torch.ops.prim.Print.default",
        "torch.ops.mylib.conv2d.default",
        "torch.ops.higher_order.cond",
        "torch.load",
        "torch.hub.load",
        "torch.sym_max.x",
        "_operator.attrgetter",
        "_operator.pow",
        "math.factorial",
        "#x:y",
        "",
    ],
)
def test_what_is_no_operator(target: str) -> None:
    assert not is_operator(target)
