"""The published schema allows every policy that loads, and refuses what an editor should underline."""

import re
from pathlib import Path

import jsonschema_rs
import pytest

from mcpgov.policy.registry import ELEMENTS
from mcpgov.policy.schema import policy_schema
from mcpgov.yaml_source import parse_yaml

ROOT = Path(__file__).parents[2]
LIBRARY = sorted(place for place in (ROOT / "policies").glob("*.yaml") if not place.name.endswith(".test.yaml"))
BLOCK = re.compile(r"^```yaml\n(# policies/\S+\.yaml\b.*?)^```", re.DOTALL | re.MULTILINE)
EXAMPLES = [
    pytest.param(text, id=f"{page.name} {text.split()[1]}")
    for page in sorted((ROOT / "docs").glob("**/*.md"))
    for text in BLOCK.findall(page.read_text("utf-8"))
    if not text.split()[1].endswith(".test.yaml")
]


def errors(text: str) -> list[str]:
    validator = jsonschema_rs.validator_for(policy_schema())
    return [error.message for error in validator.iter_errors(parse_yaml(text, "policies/x.yaml").value)]


def test_it_is_a_schema() -> None:
    jsonschema_rs.meta.validate(policy_schema())


@pytest.mark.parametrize("place", LIBRARY, ids=lambda place: place.name)
def test_every_policy_of_the_library_is_valid(place: Path) -> None:
    assert errors(place.read_text("utf-8")) == []


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_of_the_documentation_is_valid(text: str) -> None:
    assert errors(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "inbund: []",
        "mode: maybe\ninbound: []",
        "base: 1\ninbound: []",
        "inbound: [set-headr: {}]",
        "inbound: [ip-filter: { action: allow, addresses: [], more: 1 }]",
        "inbound: [rate-limit-by-key: { calls: 0, renewal-period: 60 }]",
        "inbound: [rate-limit-by-key: { calls: 5 }]",
        "inbound: [{ set-header: { name: a, value: b }, ip-filter: { action: allow, addresses: [a] } }]",
        "outbound: [ip-filter: { action: allow, addresses: [10.0.0.1] }]",
        "fragment: {}",
        "fragment: [set-headr: {}]",
        "inbound: [choose: { when: [{ condition: 'true', do: [set-headr: {}] }] }]",
    ],
)
def test_what_does_not_load_is_not_valid(text: str) -> None:
    assert errors(text) != []


def test_both_modes_and_a_fragment_are_valid() -> None:
    for text in ("mode: enforce\ninbound: []", "mode: report\ninbound: []", "fragment: [set-status: { code: 403 }]"):
        assert errors(text) == []


def test_every_element_is_in_it() -> None:
    assert ELEMENTS.keys() == jsonschema_keys()


def jsonschema_keys() -> set[str]:
    """The names of the elements that the schema knows."""
    schema = policy_schema()
    return set(re.findall(r"docs/policies/([a-z-]+)\.md", str(schema["$defs"])))
