"""Which tools an agent is told of, where the policies name each: never one that cannot be called."""

from pathlib import Path

import pytest

from mcpgov.policy.compiled import compile_policy
from mcpgov.policy.document import PolicyDocument
from mcpgov.policy_files import PolicyReferences, load_policies
from mcpgov.publish.shown_tools import shown_tools
from tests.test_docs import EverySecret

DOCUMENTS = {
    "named": "inbound: [tool-rules: { allow: [get_me, list_issues, merge] }]",
    "patterns": "inbound: [tool-rules: { allow: [get_*, list_*] }]",
    "denied": "inbound: [tool-rules: { deny: [merge, 'delete_*'] }]",
    "for-some": "inbound: [tool-rules: { deny: [{ tool: get_me, principals: ['key:abc'] }] }]",
    "to-some": "inbound: [tool-rules: { allow: [{ tool: get_me, principals: ['key:abc'] }] }]",
    "readers": "inbound: [tool-rules: { allow: [{ tools: [get_me], annotation: readOnlyHint }] }]",
    "everything-denied": "inbound: [tool-rules: { deny: [{ annotation: not readOnlyHint }, list_issues] }]",
    "chosen": "inbound: [choose: { when: [{ condition: 'true', do: [tool-rules: { allow: [x] }] }] }]",
    "owners-only": "inbound: [tool-rules: { deny: ['*'] }]",
    "including": "inbound: [include-fragment: { fragment-id: shared }]",
    "shared": "fragment: [tool-rules: { allow: [get_me] }]",
}


def documents() -> dict[str, PolicyDocument]:
    files = {Path(f"policies/{name}.yaml"): text for name, text in DOCUMENTS.items()}
    loaded = load_policies(files, PolicyReferences({}, EverySecret()))
    assert loaded.problems == ()
    return dict(loaded.documents)


def shown(*names: str, tools: dict[str, list[str]] | None = None) -> tuple[str, ...] | None:
    every = documents()
    scopes = {tool: [every[name] for name in policies] for tool, policies in (tools or {}).items()}
    return shown_tools(compile_policy([], [], [every[name] for name in names], scopes))


@pytest.mark.parametrize("names", [(), ("patterns",), ("denied",), ("chosen",), ("to-some",), ("readers",)])
def test_nothing_is_said_where_only_the_server_or_the_caller_could(names: tuple[str, ...]) -> None:
    assert shown(*names) is None


def test_tools_are_named_where_the_policies_name_them() -> None:
    assert shown("named") == ("get_me", "list_issues", "merge")
    assert shown("including") == ("get_me",)


def test_what_is_denied_to_everybody_is_left_out() -> None:
    assert shown("named", "denied") == ("get_me", "list_issues")
    assert shown("named", "everything-denied") == ("get_me", "merge")
    assert shown("named", tools={"get_me": ["owners-only"]}) == ("list_issues", "merge")


def test_what_is_denied_to_some_stays() -> None:
    assert shown("named", "for-some") == ("get_me", "list_issues", "merge")


def test_what_another_list_does_not_allow_to_everybody_is_left_out() -> None:
    assert shown("named", "patterns") == ("get_me", "list_issues")
    assert shown("named", "to-some") == ()
