"""The documentation is complete and true: every name a user can meet is there, every example loads, links hold."""

import base64
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.core import TyperGroup
from typer.main import get_command

from mcpgov.app import build_cli
from mcpgov.catalog.entries import parse_entry
from mcpgov.decision import Reason
from mcpgov.policy.document import ELEMENTS, parse_document
from mcpgov.settings import Settings, parse_settings

ROOT = Path(__file__).parents[1]
PAGES = sorted(page for pattern in ("*.md", "docs/**/*.md") for page in ROOT.glob(pattern))
DOCS = "\n".join(page.read_text("utf-8") for page in PAGES if page.is_relative_to(ROOT / "docs"))


def undocumented(names: Iterable[str], text: str) -> list[str]:
    """The names that stand nowhere in `text` as code: in backquotes, alone or followed by what they are given."""
    return [name for name in names if not re.search(rf"`{re.escape(name)}(?=[`\s:=\[])", text)]


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The dotted name of every key that mcpgov.yaml may hold."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name


def verbs(command: object, path: str = "mcpgov") -> Iterator[str]:
    """Every command that can be typed."""
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            yield from verbs(inner, f"{path} {name}")
    else:
        yield path


def test_every_reason_is_documented() -> None:
    assert undocumented(Reason, DOCS) == []


def test_every_policy_element_is_documented() -> None:
    assert undocumented(ELEMENTS, DOCS) == []


def test_every_setting_is_documented() -> None:
    assert undocumented(settings(Settings), DOCS) == []


def test_every_verb_is_documented() -> None:
    assert undocumented(verbs(get_command(build_cli())), DOCS) == []


def broken_links(page: Path, text: str) -> Iterator[str]:
    """The relative links of a page that lead to nothing."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", prose):
        if not re.match(r"\w+:", target) and not (page.parent / target).exists():
            yield f"{page.relative_to(ROOT)}: {target}"


def test_every_relative_link_leads_somewhere() -> None:
    assert [link for page in PAGES for link in broken_links(page, page.read_text("utf-8"))] == []


def test_what_is_missing_or_broken_is_reported() -> None:
    text = "`listen: 1` `audit.stores` `mcpgov audit tail --json`"
    assert undocumented(["listen", "audit.store", "mcpgov audit tail"], text) == ["audit.store"]
    links = "[a](gone.md#there) [b](LICENSE) [c](https://host.example)"
    assert list(broken_links(ROOT / "x.md", links)) == ["x.md: gone.md"]


class EverySecret:
    """The Lookup of the examples: each variable and each file that they name is there, and holds a fit value."""

    folder = "."
    value = base64.b64encode(bytes(range(32))).decode()

    def environment(self, name: str) -> str:
        """A value for any variable."""
        assert name
        return self.value

    def file(self, path: str) -> str:
        """A value for any file."""
        assert path
        return self.value


def examples() -> Iterator[tuple[str, str, str]]:
    """Each YAML block that says in its first line which file it is: the page, that file, the text."""
    for page in PAGES:
        for block in re.findall(r"^```yaml\n(# \S+\.yaml\b.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE):
            yield page.relative_to(ROOT).as_posix(), block.split()[1], block


@pytest.mark.parametrize(("page", "file", "text"), sorted(examples()))
def test_every_example_file_loads(page: str, file: str, text: str) -> None:
    folder = file.partition("/")[0]
    if file == "mcpgov.yaml":
        parse_settings(text, f"{page}: {file}", EverySecret())
    elif folder == "catalog":
        parse_entry(text, f"{page}: {file}", EverySecret())
    else:
        assert folder == "policies", f"{page}: say which file it is: mcpgov.yaml, catalog/… or policies/…"
        parse_document(text, f"{page}: {file}")
