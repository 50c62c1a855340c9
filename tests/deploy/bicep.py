"""Bicep, as far as one can see without its compiler: tokens, whether they close, and what a file declares. Pure.

Not a parser of the language: it knows strings with what is put into them, comments, brackets, and declarations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

PAIRS: Final = {")": "(", "]": "[", "}": "{"}
NAME: Final = re.compile(r"[A-Za-z_]\w*")


class Broken(Exception):
    """A string or a bracket has no other half."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A declaration at the top of a file. `what` is a type, a module's path or that of a param; `text` is all of it."""

    kind: str
    name: str
    what: str
    text: str
    secure: bool = False


def code(text: str) -> str:
    """The text without comments, and of its strings only what is put into them. Raises Broken."""
    out: list[str] = []
    stack: list[str] = []
    at = 0
    while at < len(text):
        if stack and stack[-1] == "'":
            at = _in_string(text, at, out, stack)
        elif text.startswith("//", at):
            at = text.find("\n", at) if "\n" in text[at:] else len(text)
        else:
            _bracket(text[at], stack)
            out.append(text[at] if text[at] != "'" else " ")
            at += 1
    if stack:
        raise Broken(f"{stack[-1]} is never closed")
    return "".join(out)


def _in_string(text: str, at: int, out: list[str], stack: list[str]) -> int:
    """One step within a string: where the next begins."""
    letter = text[at]
    if letter == "\n":
        raise Broken("a string has no end")
    if letter == "\\":
        return at + 2
    if text.startswith("${", at):
        stack.append("${")
        out.append(" ")
        return at + 2
    if letter == "'":
        stack.pop()
    return at + 1


def _bracket(letter: str, stack: list[str]) -> None:
    if letter == "'" or letter in PAIRS.values():
        stack.append(letter)
    elif letter in PAIRS:
        opened = stack.pop() if stack else ""
        if opened != PAIRS[letter] and not (letter == "}" and opened == "${"):
            raise Broken(f"{letter} closes nothing")


def declarations(text: str) -> Iterator[Declared]:
    """What is declared at the top of a file, in order."""
    parts = re.split(r"^(?=(?:@\w|param |var |resource |module |output ))", text, flags=re.MULTILINE)
    secure = False
    for part in parts:
        if part.startswith("@"):
            secure = secure or part.startswith("@secure()")
            continue
        head = re.match(r"(param|var|resource|module|output) (\w+) ?(?:= |'([^']+)'|(\w+))?", part)
        if head:
            yield Declared(head[1], head[2], head[3] or head[4] or "", part, secure)
        secure = False
