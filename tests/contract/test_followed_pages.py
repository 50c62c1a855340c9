"""Pages that are followed from their first command to their last: a real server, a real gateway, a real client."""

import re
from pathlib import Path

import pytest

from tests.contract.reader import BLOCK, FOLLOWED, Reader, looks_like, steps
from tests.test_docs import ROOT

DOCS = ROOT / "docs"
MARK = "Not run here"


@pytest.mark.parametrize("page", FOLLOWED)
def test_the_whole_page_can_be_followed(tmp_path: Path, page: str) -> None:
    with Reader(tmp_path) as reader:
        reader.follow(DOCS / f"{page}.md")


@pytest.mark.parametrize("page", FOLLOWED)
def test_what_is_typed_and_not_run_is_marked(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text("utf-8")
    for block in BLOCK.finditer(text):
        if block[1] == "sh":
            before = text[: block.start()].rstrip().rpartition("\n\n")[2]
            assert MARK.lower() in before.lower(), f"{page}: {before}"


def test_files_and_commands_are_read_in_their_order(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```yaml\n# a/b.yaml\nx: 1\n```\n```console\n$ one\nsaid\n$ two\n```\n```yaml\nno: file\n```\n", "utf-8"
    )
    assert list(steps(page)) == [("", "# a/b.yaml\nx: 1\n"), ("one", "said\n"), ("two", "")]


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
