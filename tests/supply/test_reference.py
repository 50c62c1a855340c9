"""The generated pages are those of the code: every verb, every option, every path, and nothing else."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from mcpgov.app import build_cli
from tests.supply.cli_reference import cli_reference, examples
from tests.supply.reference import DOCS, pages
from tests.supply.rest_reference import documents, rest_reference


def commands(command: Any, path: str = "mcpgov") -> Iterator[tuple[str, Any]]:
    """Every verb that can be typed, by what is typed."""
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            yield from commands(inner, f"{path} {name}")
    else:
        yield path, command


def lines() -> Iterator[str]:
    """Every example that `--help` shows, up to where a shell sends its output."""
    for _, command in commands(get_command(build_cli())):
        yield from (re.split(r" [|<>] ", line)[0] for line in examples(command.epilog).splitlines()[1:-1])


def test_the_pages_are_current() -> None:
    assert {name: (DOCS / name).read_text("utf-8") for name in pages()} == pages(), "run scripts/reference"


def test_every_verb_has_a_section_and_every_option_that_is_shown_a_row() -> None:
    parts = cli_reference().split("\n## ")[1:]
    sections = {part.partition("`\n")[0].strip("`"): part for part in parts}
    every = dict(commands(get_command(build_cli())))
    assert sections.keys() == every.keys()
    for verb, command in every.items():
        for one in command.params:
            words = [word for word in one.opts if word.startswith("-")]
            hidden = getattr(one, "hidden", False)
            assert all((f"`{word}`" in sections[verb]) != hidden for word in words), (verb, words)


@pytest.mark.parametrize("line", list(lines()))
def test_an_example_is_written_rightly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "call.json").touch()  # a file that is read has to be there
    words = shlex.split(re.sub(r"\$\(.*\)", "x", line))[1:]
    command: Any = get_command(build_cli())
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    command.make_context("mcpgov", words).close()


def test_every_operation_has_a_section() -> None:
    said = [
        f"{method.upper()} {path}"
        for document in documents().values()
        for path, methods in document["paths"].items()
        for method in methods
    ]
    assert sorted(said) == sorted(re.findall(r"^### `(.+)`$", rest_reference(), re.MULTILINE))
    assert len(said) > 20
