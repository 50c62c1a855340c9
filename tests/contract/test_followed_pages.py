"""Pages that are followed from their first command to their last: a real server, a real gateway, a real client."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from mcpgov.app import build_cli
from tests.contract.reader import BLOCK, FOLLOWED, TUTORIAL, Reader, looks_like, steps
from tests.test_docs import ROOT, blocks

MARK = "not run here"


@pytest.mark.parametrize("page", [page for page in FOLLOWED if page != TUTORIAL])
def test_the_whole_page_can_be_followed(tmp_path: Path, page: str) -> None:
    with Reader(tmp_path) as reader:
        reader.follow(ROOT / page)


@pytest.mark.parametrize("page", FOLLOWED)
def test_what_is_typed_and_not_run_is_marked(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    for block in BLOCK.finditer(text):
        if block[1] == "sh":
            paragraph = text[: block.start()].rstrip().rpartition("\n\n")[2]
            assert MARK in (text if page == "README.md" else paragraph).lower(), f"{page}: {paragraph}"


def verbs_shown() -> Iterator[str]:
    """Every verb of ours in a block of a followed page that is not run."""
    for page in FOLLOWED:
        for block in blocks(ROOT / page, "sh"):
            yield from re.findall(r"^mcpgov [^|>#\n]+", block, re.MULTILINE)


@pytest.mark.parametrize("line", list(verbs_shown()))
def test_a_verb_that_is_not_run_is_written_rightly(line: str) -> None:
    command: Any = get_command(build_cli())
    words = shlex.split(line)[1:]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    command.make_context("mcpgov", words).close()


def test_files_and_commands_are_read_in_their_order(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    shown = ("```yaml\n# a/b.yaml\nx: 1\n", "```console\n$ one\nsaid\n$ two\n", "```console\n$ three\n", "```yaml\nx\n")
    page.write_text("".join(f"{block}```\n" for block in shown), "utf-8")
    assert list(steps(page)) == [("", "# a/b.yaml\nx: 1\n"), ("one", "said\n"), ("two", ""), ("three", "…")]


def test_a_page_that_shows_something_else_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ echo one\ntwo\n```\n", "utf-8")
    with Reader(tmp_path) as reader, pytest.raises(AssertionError, match=re.escape("$ echo one")):
        reader.follow(page)


def test_what_looks_otherwise_is_noticed() -> None:
    assert looks_like("a  b\n…\nlast\n", "a b\nmore\nand more\nlast\n")
    assert looks_like("took …\n…\n", "took   3 ms\n")
    assert not looks_like("a\n", "a\nb\n")
    assert not looks_like("took … ms\n", "took 3 s\n")
