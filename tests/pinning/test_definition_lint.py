"""What a person should know of tools before approving them is said, and honest servers hear little."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcpgov.pinning.definition_lint import MAX_DESCRIPTION, errors_of, lint, lint_definition
from mcpgov.pinning.finding import Severity
from tests.catalog.listed_tools import SERVERS

if TYPE_CHECKING:
    from mcpgov.models import Json


def tool(name: str = "a", **members: Json) -> dict[str, Json]:
    return {"name": name, "inputSchema": {"type": "object"}, **members}


def found(one: Json) -> list[tuple[str, str]]:
    return [(finding.severity.value, str(finding.path[-1]) if finding.path else "") for finding in lint_definition(one)]


def hints(name: str, **annotations: Json) -> list[str]:
    return [finding.message for finding in lint_definition(tool(name, annotations=annotations))]


def test_real_servers_have_no_errors_and_one_warning() -> None:
    findings = [finding for tools in SERVERS.values() for finding in lint(tools)]
    assert [(finding.severity, finding.tool) for finding in findings] == [(Severity.WARNING, "notion-create-pages")]


@pytest.mark.parametrize("one", [7, None, {}, {"name": ""}, {"name": 7}])
def test_what_has_no_name_is_an_error(one: Json) -> None:
    assert found(one) == [("error", "name")]
    assert len(errors_of(one)) == 1


def test_a_definition_past_the_bounds_is_one_error() -> None:
    deep: Json = {}
    for _ in range(10_000):
        deep = {"items": deep}
    assert found(tool(inputSchema=deep)) == [("error", "")]
    assert "Nested deeper" in errors_of(tool(inputSchema=deep))[0].message


def test_errors_come_first_and_are_also_had_alone() -> None:
    one = tool(description="<IMPORTANT>x\u200b", outputSchema={"$ref": "http://x"})
    assert found(one) == [("error", "description"), ("error", "$ref"), ("warning", "description")]
    assert [finding.severity for finding in errors_of(one)] == [Severity.ERROR] * 2


@pytest.mark.parametrize("name", ["d\u0435lete_file", "\u0441opy"])
def test_a_name_in_two_scripts_is_an_error(name: str) -> None:
    assert errors_of(tool(name))[0].message.startswith("the name has letters that look like others")


@pytest.mark.parametrize("name", ["a b", "a/b", "\u00e9t\u00e9", "x" * 129])
def test_a_name_that_rules_do_not_know_is_warned_of(name: str) -> None:
    assert found(tool(name)) == [("warning", "name")]


def test_a_long_description_and_a_missing_schema_are_warned_of() -> None:
    assert found(tool(description="a" * (MAX_DESCRIPTION + 1))) == [("warning", "description")]
    assert found({"name": "a"}) == [("warning", "inputSchema")]


@pytest.mark.parametrize(
    "name", ["delete_file", "github_delete_repo", "dropTable", "issue_write_update", "PURGE", "send-mail"]
)
def test_a_tool_that_claims_only_to_read_and_is_named_otherwise_is_warned_of(name: str) -> None:
    (message,) = hints(name, readOnlyHint=True)
    assert message.startswith("it claims only to read, and is named for")
    assert hints(name, readOnlyHint=False) == []


def test_a_tool_that_claims_not_to_destroy_and_is_named_otherwise_is_warned_of() -> None:
    (message,) = hints("delete_file", destructiveHint=False)
    assert message == 'it claims not to destroy, and is named for "delete"'
    assert hints("create_file", destructiveHint=False) == []


@pytest.mark.parametrize(
    "name", ["get_deleted_items", "list_removed", "searchUpdates", "find_and_delete", "weather", "7"]
)
def test_a_tool_that_reads_may_name_what_it_reads(name: str) -> None:
    assert hints(name, readOnlyHint=True) == []


def test_hints_that_contradict_each_other_or_are_none_are_warned_of() -> None:
    assert hints("weather", readOnlyHint=True, destructiveHint=True) == ["it only reads, and destroys"]
    assert hints("weather", readOnlyHint="yes") == ["a hint is true or false"]
    assert found(tool(annotations="none")) == []


def test_names_that_may_be_taken_for_one_another_are_warned_of() -> None:
    messages = [
        (finding.tool, finding.message) for finding in lint([tool("get_issue"), tool("get_lssue"), tool("x"), 7])
    ]
    assert messages[-2:] == [
        ("get_issue", 'the name may be taken for "get_lssue"'),
        ("get_lssue", 'the name may be taken for "get_issue"'),
    ]
    (finding,) = lint([tool("send_mail")], others=["sendMail", "a-b", "a_b"])
    assert finding.message == 'the name may be taken for "sendMail"'
