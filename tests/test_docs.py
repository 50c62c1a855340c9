"""The documentation is complete and true: every name a user can meet is there, every example loads, links hold."""

import base64
import re
import shlex
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from mcpgov.app import build_cli
from mcpgov.catalog.entries import EntryShape, parse_entry
from mcpgov.decision import Reason
from mcpgov.policy.element import SECTIONS
from mcpgov.policy.registry import ELEMENTS
from mcpgov.policy_cases import ENDING, parse_cases
from mcpgov.policy_files import lint_alone
from mcpgov.settings import Settings, parse_settings
from tests.contract.reader import FOLLOWED

ROOT = Path(__file__).parents[1]
PAGES = sorted(page for pattern in ("*.md", "docs/**/*.md") for page in ROOT.glob(pattern))
SETTINGS = (ROOT / "docs" / "settings.md").read_text("utf-8")
DOCS = "\n".join(page.read_text("utf-8") for page in PAGES if page.is_relative_to(ROOT / "docs"))


def undocumented(names: Iterable[str], text: str) -> list[str]:
    """The names that stand nowhere in `text` as code: in backquotes, alone or followed by what they are given."""
    return [name for name in names if not re.search(rf"`{re.escape(name)}(?=[`\s:=\[])", text)]


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """The dotted name of every key that a file may hold, and what it is."""
    for name, field in model.model_fields.items():
        if inner := models_in(field.annotation):
            yield from settings(inner[0], f"{prefix}{field.alias or name}.")
        else:
            yield prefix + (field.alias or name), field


def models_in(annotation: object) -> list[type[BaseModel]]:
    """The models in an annotation: itself, or what it is a list of, or none if it is left out."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


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
    assert undocumented((name for name, _ in settings(Settings)), SETTINGS) == []


def test_every_default_that_is_a_word_or_a_number_is_that_of_the_code() -> None:
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \| ([^|]*) \|", SETTINGS, re.MULTILINE))
    plain = {name: field.default for name, field in settings(Settings) if isinstance(field.default, bool | int | str)}
    said = {name: f"{default}" for name, default in plain.items() if default != ""}
    assert {name: rows[name].strip("`").replace("false", "False").replace("true", "True") for name in said} == said
    assert len(said) > 50


def test_every_key_of_the_catalog_is_documented() -> None:
    keys = [key.removeprefix("connections.") for key, _ in settings(EntryShape)]
    assert undocumented(keys, (ROOT / "docs" / "catalog.md").read_text("utf-8")) == []


def test_every_verb_is_documented() -> None:
    assert undocumented(verbs(get_command(build_cli())), DOCS) == []


def prose(text: str) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made where it is read, and on the site."""
    heads = re.findall(r"^#+ (.+)$", prose(page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}


def broken_links(page: Path, text: str) -> Iterator[str]:
    """The relative links of a page that lead to nothing: no file, or no heading of it."""
    for target, _, anchor in re.findall(r"\]\(([^)\s#]*)(#([^)\s]+))?[^)]*\)", prose(text)):
        place = page.parent / target if target else page
        if re.match(r"\w+:", target):
            continue
        if not place.exists() or (anchor and anchor not in anchors(place)):
            yield f"{page.relative_to(ROOT)}: {target}{'#' if anchor else ''}{anchor}"


LOGGED = re.compile(r"""\b(?:log|get_logger\(\))\s*\.\w+\(\s*(?:[^()"]+, )?"([a-z-]+)"|\bcomplain\("([a-z-]+)\"""")


def logged(source: str) -> Iterator[str]:
    """The events that a module logs, as far as they stand there by name."""
    yield from (first or second for first, second in LOGGED.findall(source))


def test_the_events_that_a_module_logs_are_found() -> None:
    source = """
        structlog.get_logger().info("serving", url=url)
        self.log.warning(
            "said-too-much")
        log.log(LEVELS[shown.level], "policy-trace", text=text)
        self.complain("not-written", error)
        say("nothing")
    """
    assert list(logged(source)) == ["serving", "said-too-much", "policy-trace", "not-written"]


def test_every_event_of_the_log_is_documented() -> None:
    modules = sorted((ROOT / "mcpgov").rglob("*.py"))
    events = {event for module in modules for event in logged(module.read_text("utf-8"))}
    assert len(events) > 40
    assert undocumented(sorted(events), (ROOT / "docs" / "operations.md").read_text("utf-8")) == []


def test_every_relative_link_leads_somewhere() -> None:
    assert [link for page in PAGES for link in broken_links(page, page.read_text("utf-8"))] == []


def test_what_is_missing_or_broken_is_reported() -> None:
    text = "`listen: 1` `audit.stores` `mcpgov audit tail --json`"
    assert undocumented(["listen", "audit.store", "mcpgov audit tail"], text) == ["audit.store"]
    links = "[a](gone.md#there) [b](LICENSE) [c](https://host.example#x) [d](README.md#gone) [e](README.md#run-it)"
    assert list(broken_links(ROOT / "x.md", links)) == ["x.md: gone.md#there", "x.md: README.md#gone"]


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

    def secret(self, url: str) -> str:
        """A value for any secret of a Key Vault."""
        assert url
        return self.value


def blocks(page: Path, language: str) -> list[str]:
    """The text of each fenced block of a page, those that stand in a list too."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(text) for _, text in found]


def named(page: Path) -> Iterator[tuple[str, str]]:
    """Each YAML block that says in its first line which file it is: that file, and the text."""
    yield from ((block.split()[1], block) for block in blocks(page, "yaml") if re.match(r"# \S+\.yaml\b", block))


def examples() -> Iterator[tuple[str, str, str]]:
    """Each example of a file: the page, that file, the text."""
    for page in PAGES:
        yield from ((page.relative_to(ROOT).as_posix(), file, text) for file, text in named(page))


@pytest.mark.parametrize(("page", "file", "text"), sorted(examples()))
def test_every_example_file_loads(page: str, file: str, text: str) -> None:
    folder = file.partition("/")[0]
    if file == "mcpgov.yaml":
        parse_settings(text, f"{page}: {file}", EverySecret())
    elif folder == "catalog":
        parse_entry(text, f"{page}: {file}", EverySecret())
    else:
        assert folder == "policies", f"{page}: say which file it is: mcpgov.yaml, catalog/… or policies/…"
        if file.endswith(ENDING):
            assert parse_cases(text, f"{page}: {file}").cases
        else:
            assert_loads(file, text)


def assert_loads(file: str, text: str) -> None:
    """A policy or a fragment, its named values and what it includes taken as given."""
    (linted,) = lint_alone({Path(file): text})
    assert [str(problem) for problem in linted.problems] == []


def xml_examples() -> Iterator[tuple[str, int, str]]:
    """Each XML block: the page, its number there, the text. A page that is followed shows itself what loads."""
    for page in (page for page in PAGES if page.relative_to(ROOT).as_posix() not in FOLLOWED):
        yield from ((str(page.relative_to(ROOT)), number, text) for number, text in enumerate(blocks(page, "xml"), 1))


def as_document(text: str) -> str:
    """A whole document, made from sections or from elements alone, which stand in the first section they may."""
    root = re.match(r"(?:\s|<!--.*?-->)*<([a-z-]+)", text, re.DOTALL)
    assert root
    if root[1] in ("policies", "fragment"):
        return text
    if root[1] not in SECTIONS:
        section = ELEMENTS[root[1]].sections[0]
        text = f"<{section}>{text}</{section}>"
    return f"<policies>{text}</policies>"


@pytest.mark.parametrize(("page", "number", "text"), sorted(xml_examples()))
def test_every_xml_example_loads(page: str, number: int, text: str) -> None:
    assert number
    assert_loads(f"policies/{Path(page).stem}.xml", as_document(text))


GITHUB = """\
name: com.contoso/github
upstream: https://api.githubcopilot.com/mcp/
connections:
  github: { policies: [company], backends: [https://europe-api.contoso-mcp.net] }
"""


def transcripts() -> Iterator[tuple[str, str, str]]:
    """Each `mcpgov policy explain` that a page shows by itself: the page, what is typed, what is printed."""
    for page in (page for page in PAGES if page.relative_to(ROOT).as_posix() not in FOLLOWED):
        for block in blocks(page, "console"):
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                typed, _, printed = part.partition("\n")
                if typed.startswith("mcpgov policy explain "):
                    yield page.relative_to(ROOT).as_posix(), typed, printed


@pytest.mark.parametrize(("page", "typed", "printed"), sorted(transcripts()))
def test_explain_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, typed: str, printed: str
) -> None:
    policies = [(file, text) for file, text in named(ROOT / page) if file.startswith("policies/")]
    for file, text in [*policies, ("catalog/github.yaml", GITHUB)]:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(build_cli(), shlex.split(typed)[1:])
    assert (shown.exit_code, shown.stdout) == (0, printed)


def test_a_page_shows_what_explain_prints() -> None:
    assert [page for page, _, _ in transcripts()] != []
