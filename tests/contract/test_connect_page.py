"""docs/connect.md and docs/foundry.md show what is printed: their examples are run on the files that they show."""

import shlex
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from mcpgov.app import build_cli
from tests.test_docs import ROOT, blocks, named

PAGES = ("connect", "foundry")
RUN = ("mcpgov connect ", "mcpgov foundry ")


def examples() -> Iterator[tuple[str, str, str]]:
    """Each verb that a page shows with what it prints: the page, what is typed, what is printed."""
    for page in PAGES:
        for block in blocks(ROOT / "docs" / f"{page}.md", "console"):
            typed, _, printed = block.removeprefix("$ ").partition("\n")
            if typed.startswith(RUN):
                yield page, typed, printed


@pytest.mark.parametrize(("page", "typed", "printed"), sorted(examples()))
def test_a_page_shows_what_is_printed(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, page: str, typed: str, printed: str
) -> None:
    folder = tmp_path_factory.mktemp(page)
    for file, text in named(ROOT / "docs" / f"{page}.md"):
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(text, "utf-8")
    monkeypatch.chdir(folder)
    shown = CliRunner().invoke(build_cli(), shlex.split(typed)[1:])
    assert (shown.exit_code, shown.stdout) == (0, printed)


def test_both_pages_show_something() -> None:
    assert {page for page, _, _ in examples()} == set(PAGES)
