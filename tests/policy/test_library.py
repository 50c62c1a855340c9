"""The library of ready policies: each loads, and its two forms decide alike on a thousand requests."""

import random
from pathlib import Path

import pytest

from mcpgov.decision import Decision, Effect, Hold, Spend, Spent
from mcpgov.policy.compiled import ConnectionPolicy, compile_policy
from mcpgov.policy.context import Context
from mcpgov.policy.document import PolicyDocument
from mcpgov.policy.element import SECTIONS, walk
from mcpgov.policy.evaluate import Evaluation
from mcpgov.policy.registry import ELEMENTS
from mcpgov.policy_cases import Coverage, parse_cases, run_cases
from mcpgov.policy_files import PolicyFiles, PolicyReferences, load_policies
from mcpgov.credential.references import EnvironmentAndFiles
from tests.policy.calls import admitted, context, performed

LIBRARY = Path(__file__).parents[2] / "policies"
TESTS = sorted(LIBRARY.glob("*.test.yaml"))
PAGE = (LIBRARY.parent / "docs" / "library.md").read_text("utf-8")
REQUESTS = 1000
TOOLS = (
    *("get_issue", "list_issues", "search_code", "delete_repository", "merge_pull_request", "create_issue"),
    *("update_file", "run_query", "transfer_funds", "send_mail", "describe_table", "get\u0456ssue"),
)
ADDRESSES = ("10.1.2.3", "192.168.7.7", "203.0.113.15", "203.0.113.99", "::ffff:10.0.0.1", "2001:db8:100::1", "8.8.8.8")
HEADERS = ({}, {"x-region": "eu"}, {"x-region": "us", "referer": "https://x.example"}, {"x-tenant": "blue"}, {"origin": "https://app.contoso.com"})
ARGUMENTS = ({}, {"amount": 10}, {"amount": 100000}, {"query": "DROP TABLE users"}, {"query": "SELECT 1"}, {"to": "a@contoso.com"}, {"to": "a@evil.example"})
CALLERS = (("key:k1", "payments"), ("key:k2", "platform-owners"), ("key:k3", ""))


def loaded(folder: Path, ending: str) -> PolicyFiles:
    """The library in one syntax."""
    texts = {path: path.read_text("utf-8") for path in sorted(folder.glob(f"*.{ending}")) if path not in TESTS}
    named = {"api-version": "2026-01-01", "tenant-id": "contoso"}
    return load_policies(texts, PolicyReferences(named, EnvironmentAndFiles({}, str(folder))))


YAML, XML = loaded(LIBRARY, "yaml"), loaded(LIBRARY / "xml", "xml")


def test_every_policy_of_the_library_loads() -> None:
    assert (YAML.problems, XML.problems) == ((), ())


def test_every_policy_has_both_forms() -> None:
    assert YAML.documents.keys() == XML.documents.keys()


def test_every_element_is_used_in_both_forms() -> None:
    for files in (YAML, XML):
        used = {
            step.element.name
            for document in files.documents.values()
            for section in SECTIONS
            for step in walk(document.sections.get(section, ()))
        }
        assert ELEMENTS.keys() - used == set()


@pytest.mark.parametrize("name", sorted(YAML.documents))
def test_every_policy_is_explained_and_tested(name: str) -> None:
    assert f"`{name}`" in PAGE
    assert (LIBRARY / f"{name}.test.yaml").exists()


@pytest.mark.parametrize("name", sorted(YAML.documents))
def test_both_forms_decide_alike_on_generated_requests(name: str) -> None:
    chance = random.Random(name)
    forms = [in_force(files.documents[name]) for files in (YAML, XML)]
    counters: list[dict[str, int]] = [{}, {}]
    for number in range(REQUESTS):
        asked, annotations = generated(chance, number)
        room = chance.random() > 0.05
        decisions = [
            decided(policy, asked, annotations, spent, room=room) for policy, spent in zip(forms, counters, strict=True)
        ]
        assert told(decisions[0]) == told(decisions[1])


@pytest.mark.parametrize("place", TESTS, ids=lambda place: place.name)
@pytest.mark.parametrize("files", [YAML, XML], ids=["yaml", "xml"])
def test_the_cases_beside_each_policy_hold_in_both_forms(place: Path, files: PolicyFiles) -> None:
    coverage = Coverage()
    results = list(run_cases(parse_cases(place.read_text("utf-8"), str(place)), files.documents, coverage))
    assert [(result.name, result.wrong) for result in results if result.wrong] == []
    assert coverage.missed == ()


def in_force(document: PolicyDocument) -> ConnectionPolicy:
    """The only policy of a connection."""
    return compile_policy([], [], [document], {})


def generated(chance: random.Random, number: int) -> tuple[Context, dict[str, bool]]:
    """A request that nobody chose, and what the server says of its tool."""
    method = chance.choice(("tools/call", "tools/call", "tools/call", "tools/list", "resources/read"))
    who, project = chance.choice(CALLERS)
    asked = context(
        method,
        chance.choice(TOOLS),
        address=chance.choice(ADDRESSES),
        arguments=chance.choice(ARGUMENTS),
        headers=chance.choice(HEADERS),
        principal=who,
        project=project,
    )
    hints = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
    return asked, {hint: chance.random() > 0.5 for hint in hints if number % 3 and chance.random() > 0.5}


def decided(
    policy: ConnectionPolicy, asked: Context, annotations: dict[str, bool], spent: dict[str, int], *, room: bool
) -> Decision:
    """The decision, by counters that only grow."""

    def perform(effect: Effect) -> object:
        if isinstance(effect, Spend):
            key = f"{effect.calls}/{effect.period}/{effect.key}"
            allowed = spent.get(key, 0) + effect.count <= effect.calls
            spent[key] = spent.get(key, 0) + (effect.count if allowed else 0)
            return Spent(allowed, effect.calls, effect.calls - spent[key], effect.period)
        if isinstance(effect, Hold):
            return room
        return admitted(effect) if admitted(effect) != {} else annotations

    return performed(Evaluation(policy, asked).decide(), perform)


def told(decision: Decision) -> object:
    """What a decision comes to, whichever file it was made by."""
    changes = decision.changes
    return (
        (decision.reason, decision.rule, decision.message, decision.as_tool_result, decision.reply),
        (changes.headers, changes.query, changes.backend, changes.path, changes.own_query, changes.forwarded),
        [edit.values for edit in (*changes.headers, *changes.query)],
        (changes.timeout, decision.limits, decision.reply_headers, decision.reported),
    )
