"""What the CEL engine made of an expression: the names it refers to, and the literal text that functions are given.

Read from the checked tree that the engine hands out as a protocol buffer, so that no second reading of the expression
can differ from the engine's own. Refuses to know what any name means.
Format: cel.expr.CheckedExpr, https://github.com/google/cel-spec/blob/master/proto/cel/expr/checked.proto and
syntax.proto, inside a google.protobuf.Any; https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ANY_VALUE: Final = 2
_REFERENCES, _ROOT = 2, 4  # of CheckedExpr; a reference is a map entry, whose value is 2, whose name is 1
_CONSTANT, _CALL, _STRUCT = 3, 6, 8  # of Expr
_TEXT: Final = 6  # of Constant
_FUNCTION, _ARGUMENTS = 2, 3  # of Call
_ENTRIES: Final = 2  # of CreateStruct; an entry has a key, 3, and a value, 4
_INNER: Final[Mapping[int, tuple[int, ...]]] = {  # where an Expr of this kind has others inside
    5: (1,),  # select: operand
    _CALL: (1, _ARGUMENTS),  # and the target
    7: (1,),  # list: elements
    9: (2, 4, 5, 6, 7),  # comprehension: range, start, condition, step, result
}
_VARINT, _LENGTH_DELIMITED = 0, 2  # wire types; the only other one in a tree has eight bytes


@dataclass(frozen=True, slots=True)
class Tree:
    """`names`: variables and functions, in full. `literals`: functions whose last argument is literal text, with it."""

    names: frozenset[str]
    literals: tuple[tuple[str, str], ...]


def read_tree(serialized: bytes) -> Tree:
    """The tree of a compiled expression, as the engine serializes it."""
    (checked,) = _parts(serialized, _ANY_VALUE)
    references = [
        name for entry in _parts(checked, _REFERENCES) for value in _parts(entry, 2) for name in _parts(value, 1)
    ]
    (root,) = _parts(checked, _ROOT)
    return Tree(frozenset(name.decode() for name in references), tuple(_literals(root)))


def _literals(root: bytes) -> Iterator[tuple[str, str]]:
    pending = [root]
    while pending:
        for number, body in _fields(pending.pop()):
            pending += _parts(body, *_INNER.get(number, ()))
            if number == _STRUCT:
                pending += [part for entry in _parts(body, _ENTRIES) for part in _parts(entry, 3, 4)]
            elif number == _CALL:
                (function,) = _parts(body, _FUNCTION)
                for argument in _parts(body, _ARGUMENTS)[-1:]:
                    constants = _parts(argument, _CONSTANT)
                    yield from ((function.decode(), text.decode()) for one in constants for text in _parts(one, _TEXT))


def _parts(message: bytes, *numbers: int) -> list[bytes]:
    return [body for number, body in _fields(message) if number in numbers]


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        if tag & 7 == _LENGTH_DELIMITED:
            size, at = _varint(message, at)
            yield tag >> 3, message[at : at + size]
            at += size
        else:
            at = _varint(message, at)[1] if tag & 7 == _VARINT else at + 8


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while message[at] & 0x80:
        value |= (message[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
    return value | message[at] << shift, at + 1
