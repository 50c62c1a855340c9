"""What is typed becomes exactly the request that is asked about, or a message that says how to write it."""

from pathlib import Path

import pytest
import typer

from mcpgov.cli.question import Question, annotations_of, context_of, kind_of
from mcpgov.models import PrincipalKind
from mcpgov.reload import load_generation
from mcpgov.snapshot import Snapshot
from tests.cli.folder import furnish


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    """A catalog with the connections github and time."""
    return load_generation(furnish(tmp_path))


def test_options_become_the_request(snapshot: Snapshot) -> None:
    question = Question(
        "github",
        tool="get_issue",
        principal="key:k1",
        project="payments",
        ip="::ffff:10.0.0.7",
        header=["X-Region=eu=west", "x-empty="],
        arguments='{"id": 7}',
    )
    asked = context_of(question, snapshot)
    assert (asked.request.method, asked.request.tool, asked.request.arguments) == ("tools/call", "get_issue", {"id": 7})
    assert asked.request.head.headers.fields == (("x-region", "eu=west"), ("x-empty", ""))
    assert asked.request.head.source_address == "10.0.0.7"
    assert (asked.principal.id, asked.principal.project) == ("key:k1", "payments")
    assert asked.connection.name == "github"


def test_an_agent_is_asked_about_with_its_blueprint_roles_and_scopes(snapshot: Snapshot) -> None:
    question = Question(
        "github", kind=PrincipalKind.AGENT, agent="a1", blueprint="b1", role=["Mcp.Invoke"], scope=["Mcp.Use"]
    )
    caller = context_of(question, snapshot).principal
    assert (caller.kind, caller.agent_id, caller.blueprint_id) == (PrincipalKind.AGENT, "a1", "b1")
    assert (caller.roles, caller.scopes) == (("Mcp.Invoke",), ("Mcp.Use",))


@pytest.mark.parametrize(
    ("kind", "known_as"),
    [("key", "key:example"), ("agent", "entra:example"), ("anonymous", "anonymous"), ("probe", "mcpgov:probe")],
)
def test_a_caller_without_a_name_is_an_example_of_its_kind(snapshot: Snapshot, kind: str, known_as: str) -> None:
    caller = context_of(Question("github", kind=kind_of(kind)), snapshot).principal
    assert (caller.id, caller.name, caller.kind) == (known_as, known_as, kind)
    named = Question("github", principal="x", kind=kind_of(kind))
    assert context_of(named, snapshot).principal.id == "x"


@pytest.mark.parametrize(
    ("word", "mend"),
    [("agnet", "did you mean agent?"), ("\x1b", "there is no kind of caller \\x1b; known here: agent")],
)
def test_a_kind_of_caller_that_there_is_not_is_told_with_those_there_are(word: str, mend: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        kind_of(word)
    assert mend in caught.value.message


def test_without_a_tool_a_list_is_asked_for(snapshot: Snapshot) -> None:
    assert context_of(Question("github"), snapshot).request.method == "tools/list"
    assert context_of(Question("time", method="resources/read"), snapshot).request.method == "resources/read"


def test_annotations_are_true_or_false() -> None:
    question = Question("github", annotation=["readOnlyHint=true", "destructiveHint=false"])
    assert annotations_of(question) == {"readOnlyHint": True, "destructiveHint": False}
    with pytest.raises(typer.BadParameter, match="write readOnlyHint=true or =false"):
        annotations_of(Question("github", annotation=["readOnlyHint=yes"]))


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (Question("gihub"), "did you mean github"),
        (Question("github", ip="nowhere"), "is not an address"),
        (Question("github", header=["x-region"]), "write NAME=VALUE"),
        (Question("github", header=["=eu"]), "write NAME=VALUE"),
        (Question("github", tool="x", arguments="{"), "--arguments: "),
        (Question("github", tool="x", arguments="[1]"), "must be a JSON object"),
        (Question("github", tool="x", arguments='{"a": "\ud800"}'), "this is not text"),
        (Question("github", arguments="{bad"), "--arguments: "),
        (Question("github", arguments='{"a": 1}'), "--arguments belongs to the call of a tool; add --tool NAME"),
        (Question("github", annotation=["readOnlyHint=true"]), "--annotation belongs to the call of a tool"),
        (Question("github", method="tools/call"), "needs --tool NAME"),
        (Question("github", tool="x", method="tools/list"), "--tool belongs to tools/call"),
    ],
)
def test_what_cannot_be_asked_says_how_to_ask(snapshot: Snapshot, question: Question, message: str) -> None:
    with pytest.raises(typer.BadParameter, match=message):
        context_of(question, snapshot)


def test_empty_catalog_is_told() -> None:
    with pytest.raises(typer.BadParameter, match="the catalog is empty"):
        context_of(Question("github"), Snapshot("", {}, {}))
