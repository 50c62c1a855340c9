"""HTML as values: every text is escaped where it is put in, so that there is no way to forget it.

`tag("td", text, class_="id")` makes markup; only markup is put in as it stands. There is no way from text to markup but
trusted(), which is for files of our own. What a caller chose cannot hide: a character that is invisible, or that turns
the direction of what follows, is written out.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlencode

VOID: Final = frozenset({"br", "hr", "input", "link", "meta", "rect", "path", "line"})


class Markup:
    """Text that is HTML already."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


Child = Markup | str | int | float | None | Iterable["Child"]
Attribute = str | int | float | bool | None


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """An element. `class_` is class and `aria_label` aria-label; None and False leave an attribute out."""
    said = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{html.escape(visible(str(value)))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in VOID:
        return Markup(f"<{name}{said}>" if name not in {"rect", "path", "line"} else f"<{name}{said}/>")
    return Markup(f"<{name}{said}>{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """Children one behind the other; text among them is escaped, None is nothing."""
    return Markup("".join(_written(child) for child in children))


def _written(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child.text
    if isinstance(child, str | int | float):
        return html.escape(visible(str(child)))
    return "".join(_written(one) for one in child)


def visible(text: str) -> str:
    """Text in which nothing is invisible: control and format characters as Python writes them, but for new lines."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char == "\n" or unicodedata.category(char)[0] != "C" else _spelled(char) for char in text)


def _spelled(char: str) -> str:
    return char.encode("unicode_escape").decode()


def trusted(text: str) -> Markup:
    """HTML of our own, as it stands in a file of ours."""
    return Markup(text)


def link(path: str, /, **query: str | None) -> str:
    """A path of ours with a query; what is empty or None is left out."""
    said = urlencode({name: value for name, value in query.items() if value})
    return f"{path}?{said}" if said else path
