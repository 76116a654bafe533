"""Sizes that depend on the batch, as an exported program writes them. A loader evaluates them."""

import re

_LONGEST, _DEEPEST = 8192, 50
# Each kind of atom has a letter that no text has; a call of them is again one.
_SYMBOL, _SMALL, _OTHER = "\x01", "\x02", "\x03"
_ATOMS = (
    (_SYMBOL, re.compile(r"Symbol\('[su][0-9]{1,4}'(, (positive|nonnegative|nonzero|integer|finite)=True){0,5}\)")),
    (_SMALL, re.compile(r"Integer\([2-4]\)")),
    (_OTHER, re.compile(r"Integer\(-?[0-9]{1,19}\)|(?<![A-Za-z_])(true|false)(?![A-Za-z_(])")),
)
_FUNCTIONS = (
    "Add|Mul|Min|Max|FloorDiv|CleanDiv|CeilDiv|Mod|PythonMod|ModularIndexing|Identity"
    "|Equality|Unequality|LessThan|GreaterThan|StrictLessThan|StrictGreaterThan|And|Or|Not"
)
_ATOM = f"[{_SYMBOL}{_SMALL}{_OTHER}]"
# Powers of a symbol only: of numbers they may be as large as the memory.
_CALL = re.compile(f"(?<![A-Za-z_])(?:(?:{_FUNCTIONS})\\({_ATOM}(?:, {_ATOM})*\\)|Pow\\({_SYMBOL}, {_SMALL}\\))")

_INPUT = r"L(?:\['\w{1,100}'\]|\[\d{1,3}\]){1,4}\.size\(\)\[\d{1,2}\]"
_GUARD = re.compile(
    # No powers and no shifts, whose results may be as large as the memory.
    rf"(?>{_INPUT}|\d{{1,19}}(?!\d)|torch\.sym_(?:max|min)(?=\()|[()+%-]|\*(?!\*)|//|[<>=!]=|[<>](?![<>])|, | )++",
    re.ASCII,
)


def is_expression(text: str) -> bool:
    """Whether it is made of integers, symbols and plain arithmetic, and nothing else.

    >>> is_expression("Mul(Integer(64), Symbol('s77', positive=True, integer=True))")
    True
    >>> is_expression("Mul(Integer(64), open('x'))")
    False
    """
    if len(text) > _LONGEST or not (text.isascii() and text.isprintable()):
        return False
    for letter, atom in _ATOMS:
        text = atom.sub(letter, text)
    for _ in range(_DEEPEST):
        text, replaced = _CALL.subn(_OTHER, text)
        if not replaced:
            break
    return text in {_SYMBOL, _SMALL, _OTHER}


def is_guard(text: str) -> bool:
    """Whether it compares sizes of inputs, and does nothing else.

    >>> is_guard("(L['x'].size()[2] % 2) == 0")
    True
    >>> is_guard("L['x'].__class__")
    False
    """
    return len(text) <= _LONGEST and _GUARD.fullmatch(text) is not None
