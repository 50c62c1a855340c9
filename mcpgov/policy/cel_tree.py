"""What the CEL engine made of an expression: its names, and the literal text that functions and maps are given.

Read from the checked tree that the engine hands out as a protocol buffer, so that no second reading of the expression
can differ from the engine's own. Refuses to know what any name means.
Format: cel.expr.CheckedExpr, https://github.com/google/cel-spec/blob/master/proto/cel/expr/checked.proto and
syntax.proto, inside a google.protobuf.Any; https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ANY_VALUE: Final = 2
_REFERENCES, _ROOT = 2, 4  # of CheckedExpr; a reference is a map entry, whose value is 2, whose name is 1
_CONSTANT, _IDENT, _SELECT, _CALL, _STRUCT = 3, 4, 5, 6, 8  # of Expr
_TEXT: Final = 6  # of Constant
_NAME: Final = 1  # of Ident
_OPERAND, _FIELD = 1, 2  # of Select
_FUNCTION, _ARGUMENTS = 2, 3  # of Call
_INDEX, _IN = b"_[_]", b"@in"  # how the engine names the operators
_ENTRIES: Final = 2  # of CreateStruct; an entry has a key, 3, and a value, 4
_INNER: Final[Mapping[int, tuple[int, ...]]] = {  # where an Expr of this kind has others inside
    _SELECT: (_OPERAND,),
    _CALL: (1, _ARGUMENTS),  # and the target
    7: (1,),  # list: elements
    9: (2, 4, 5, 6, 7),  # comprehension: range, start, condition, step, result
}
_VARINT, _LENGTH_DELIMITED = 0, 2  # wire types; the only other one in a tree has eight bytes


@frozen
class Tree:
    """`names`: variables and functions, in full. `literals`: functions whose last argument is literal text, with it.

    `keys`: variables that are asked for a key which is written down, with it: m["k"], m.k, has(m.k), "k" in m.
    """

    names: frozenset[str]
    literals: tuple[tuple[str, str], ...]
    keys: tuple[tuple[str, str], ...] = ()


def read_tree(serialized: bytes) -> Tree:
    """The tree of a compiled expression, as the engine serializes it."""
    (checked,) = _parts(serialized, _ANY_VALUE)
    references = [
        name for entry in _parts(checked, _REFERENCES) for value in _parts(entry, 2) for name in _parts(value, 1)
    ]
    (root,) = _parts(checked, _ROOT)
    return Tree(frozenset(name.decode() for name in references), tuple(_literals(root)), tuple(_keys(root)))


def _expressions(root: bytes) -> Iterator[tuple[int, bytes]]:
    """The kind and the body of an expression and of every one inside it."""
    pending = [root]
    while pending:
        for number, body in _fields(pending.pop()):
            yield number, body
            pending += _parts(body, *_INNER.get(number, ()))
            if number == _STRUCT:
                pending += [part for entry in _parts(body, _ENTRIES) for part in _parts(entry, 3, 4)]


def _literals(root: bytes) -> Iterator[tuple[str, str]]:
    for number, body in _expressions(root):
        if number == _CALL:
            (function,) = _parts(body, _FUNCTION)
            for argument in _parts(body, _ARGUMENTS)[-1:]:
                yield from ((function.decode(), text.decode()) for text in _within(argument, _CONSTANT, _TEXT))


def _keys(root: bytes) -> Iterator[tuple[str, str]]:
    for number, body in _expressions(root):
        operands, keys = list[bytes](), list[bytes]()
        if number == _SELECT:
            operands, keys = _parts(body, _OPERAND), _parts(body, _FIELD)
        elif number == _CALL and _parts(body, _FUNCTION)[0] in (_INDEX, _IN):
            operands = _parts(body, _ARGUMENTS)
            keys = [text for operand in operands for text in _within(operand, _CONSTANT, _TEXT)]
        names = [name for operand in operands for name in _within(operand, _IDENT, _NAME)]
        yield from ((name.decode(), key.decode()) for name in names for key in keys)


def _within(message: bytes, outer: int, inner: int) -> list[bytes]:
    return [body for part in _parts(message, outer) for body in _parts(part, inner)]


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
