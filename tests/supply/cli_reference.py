"""docs/reference-cli.md: every verb with every argument and option, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from typer.core import TyperGroup
from typer.main import get_command

from mcpgov.app import build_cli

HEAD: Final = """\
# Every option

What `--help` says of every verb, written by `scripts/reference`. [The verbs](cli.md) says what they are for, and which
exit codes there are. `--help` is an option of each.
"""
NAMES: Final = {str: "text", int: "number", float: "number", Path: "path", bool: ""}


def cli_reference() -> str:
    """The page."""
    return "\n".join([HEAD, *sections(get_command(build_cli()), "mcpgov")])


def sections(command: Any, path: str) -> Iterator[str]:
    """What the page says of a command and of those below it."""
    if isinstance(command, TyperGroup):
        for name, inner in sorted(command.commands.items()):
            if not inner.hidden:
                yield from sections(inner, f"{path} {name}")
        return
    shown = [one for one in command.params if not getattr(one, "hidden", False)]
    given = [one for one in shown if one.opts[0].startswith("-")]
    placed = [one for one in shown if one not in given]
    yield f"## `{path}`\n"
    yield f"{plain(command.help)}\n"
    yield f"    {' '.join([path, *map(placeholder, placed), '[OPTIONS]'])}\n"
    if shown:
        yield "| | takes | default | |\n|---|---|---|---|"
        yield from (
            f"| {named(one)} | {taken(one)} | {default(one)} | {plain(one.help)} |" for one in (*placed, *given)
        )
        yield ""
    yield f"{examples(command.epilog)}\n"


def plain(text: str | None) -> str:
    """A help text as one line that may stand in a table."""
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "&lt;")


def placeholder(one: Any) -> str:
    """Where an argument stands in the line: NAME, [NAME] if it may be left out, [NAME]... for any number."""
    name = str(one.metavar or one.name.upper()).strip("[]….")
    return (name if one.required else f"[{name}]") + ("..." if one.nargs == -1 else "")


def named(one: Any) -> str:
    """What is typed for it."""
    words = [*one.opts, *one.secondary_opts] if one.opts[0].startswith("-") else [placeholder(one)]
    return ", ".join(f"`{word}`" for word in words)


def taken(one: Any) -> str:
    """What sort of value it takes; nothing for a flag."""
    if getattr(one, "is_flag", False):
        return ""
    kind = sort(one.type_descriptor.annotation)
    bounds = " to ".join("" if bound is None else str(bound) for bound in (one.min, one.max)).removesuffix(" to ")
    several = " for each" if getattr(one, "multiple", False) else ""
    return kind + (f", {bounds}" if bounds else "") + several + (", required" if one.required else "")


def sort(annotation: Any) -> str:
    """The name of a type: what can be chosen, or text, number, path."""
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    if get_origin(annotation) in (list, Union, UnionType):
        return next(name for inner in get_args(annotation) if (name := sort(inner)))
    if members := getattr(annotation, "__members__", None):
        return ", ".join(f"`{choice.value}`" for choice in members.values())
    return NAMES.get(annotation, "")


def default(one: Any) -> str:
    """What holds where nothing is said; what is empty or off is left out."""
    value = one.default.value if isinstance(one.default, Enum) else one.default
    return "" if callable(value) or value in (None, "", False, [], ()) else f"`{value}`"


def examples(epilog: str | None) -> str:
    """The lines to copy."""
    lines = (epilog or "").removeprefix("Examples:").removeprefix("Example:").split("·")
    return "\n".join(["```sh", *(line.strip() for line in lines), "```"])
