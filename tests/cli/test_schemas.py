"""The schemas of the repository are those of the code, and allow what is documented."""

import json
import re
from pathlib import Path

import jsonschema_rs
import pytest

from mcpgov.cli.schemas import schemas, write_schemas
from mcpgov.yaml_source import parse_yaml

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```yaml\n(# (mcpgov|catalog/\S+)\.yaml\b.*?)^```", re.DOTALL | re.MULTILINE)
EXAMPLES = [
    pytest.param(kind.partition("/")[0], text, id=f"{page.name} {kind}")
    for page in sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))
    for text, kind in BLOCK.findall(page.read_text("utf-8"))
]


def errors(kind: str, text: str) -> list[str]:
    validator = jsonschema_rs.validator_for(json.loads(schemas()[f"{kind}.schema.json"]))
    return [error.message for error in validator.iter_errors(parse_yaml(text, "x.yaml").value)]


def test_the_files_of_the_repository_are_current() -> None:
    assert {place.name: place.read_text("utf-8") for place in (ROOT / "schemas").iterdir()} == schemas(), (
        "run scripts/schemas"
    )


def test_they_are_written_in_place_of_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "schemas"
    write_schemas(folder)
    (folder / "policy.schema.json").write_text("old")
    write_schemas(folder)
    assert {place.name: place.read_text("utf-8") for place in folder.iterdir()} == schemas()


@pytest.mark.parametrize("text", schemas().values(), ids=schemas().keys())
def test_each_is_a_schema(text: str) -> None:
    jsonschema_rs.meta.validate(json.loads(text))


@pytest.mark.parametrize(("kind", "text"), EXAMPLES)
def test_every_example_of_the_documentation_is_valid(kind: str, text: str) -> None:
    assert errors(kind, text) == []


@pytest.mark.parametrize(
    "text",
    [
        "counters: per-worker",
        "counters: memory",
        "counters: { url: 'redis://x', when_down: local }",
        "listen: 127.0.0.1:1",
    ],
)
def test_settings_may_be_written_in_each_way(text: str) -> None:
    assert errors("mcpgov", text) == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("mcpgov", "lisen: 127.0.0.1:1"),
        ("mcpgov", "registry: { anonymous: true }"),
        ("mcpgov", "counters: { urls: x }"),
        ("catalog", "name: a/b"),
        ("catalog", "name: a/b\nconnections: { a: { authType: oauth2 } }"),
        ("catalog", "name: a/b\nconnections: { a: { clientAudiences: x } }"),
        ("catalog", "name: a/b\nconnections: { a: { timeout: 900 } }"),
    ],
)
def test_what_is_not_read_is_not_valid(kind: str, text: str) -> None:
    assert errors(kind, text) != []
