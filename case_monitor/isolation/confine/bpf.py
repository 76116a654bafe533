"""Programs of the kernel's packet filter, which seccomp runs on each system call.

A program sees a record: the call's number at byte 0, the architecture at byte 4, from byte 16 six arguments of eight
bytes. It works on 32 bits at a time: of an argument it gets the lower half, which is all that the kernel takes where a
process id, a command or a flag is passed as an int.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_LOAD, _EQUAL, _GREATER, _HAS_BITS, _MASK, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x54, 0x06


@dataclass(frozen=True, slots=True)
class Instruction:
    """One step; a test skips `if_true` or `if_false` of those that follow."""

    code: int
    value: int
    if_true: int = 0
    if_false: int = 0

    def packed(self) -> bytes:
        """As the kernel reads it."""
        return struct.pack("=HBBI", self.code, self.if_true, self.if_false, self.value)


def answer(action: int) -> Instruction:
    """End with this action."""
    return Instruction(_RETURN, action)


def only_architecture(architecture: int) -> list[Instruction]:
    """Kill who calls by another architecture's numbers, to which the rest of the program does not apply."""
    return [Instruction(_LOAD, _ARCHITECTURE_AT), Instruction(_EQUAL, architecture, 1, 0), answer(KILL_PROCESS)]


def beyond(number: int, action: int) -> list[Instruction]:
    """The action for all greater numbers; loads the number for whatever follows."""
    return [Instruction(_LOAD, _NUMBER_AT), Instruction(_GREATER, number, 0, 1), answer(action)]


def always(number: int, action: int) -> list[Instruction]:
    """The action for this call."""
    return [Instruction(_EQUAL, number, 0, 1), answer(action)]


def unless_equal(number: int, argument: int, values: Iterable[int], action: int) -> list[Instruction]:
    """The action for this call where the argument is none of the values."""
    return _on_argument(number, argument, [*_comparisons(values, ALLOW), answer(action)])


def where_equal(number: int, argument: int, values: Iterable[int], action: int) -> list[Instruction]:
    """The action for this call where the argument is one of the values."""
    return _on_argument(number, argument, [*_comparisons(values, action), answer(ALLOW)])


def unless_bits(number: int, argument: int, bits: int, action: int) -> list[Instruction]:
    """The action for this call where the argument has none of the bits."""
    return _on_argument(number, argument, [Instruction(_HAS_BITS, bits, 0, 1), answer(ALLOW), answer(action)])


def unless_both(number: int, first: int, second: int, mask: int, action: int) -> list[Instruction]:
    """The action for this call but where its first argument is `first`, and the masked second is `second`."""
    second_too = [
        Instruction(_LOAD, _ARGUMENTS_AT + 8),
        Instruction(_MASK, mask),
        *_comparisons([second], ALLOW),
    ]
    decision = [Instruction(_EQUAL, first, 0, len(second_too)), *second_too, answer(action)]
    return _on_argument(number, 0, decision)


def _comparisons(values: Iterable[int], action: int) -> list[Instruction]:
    return [step for value in values for step in (Instruction(_EQUAL, value, 0, 1), answer(action))]


def _on_argument(number: int, argument: int, decision: list[Instruction]) -> list[Instruction]:
    """Decide about one call by one argument. The decision is final: the number is loaded no more."""
    load = Instruction(_LOAD, _ARGUMENTS_AT + 8 * argument)
    return [Instruction(_EQUAL, number, 0, len(decision) + 1), load, *decision]
