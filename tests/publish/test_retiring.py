"""What is served no more is retired and named nowhere, what is served is left alone, and twice is as once."""

from typing import Any

import pytest

from mcpgov.models import Json
from mcpgov.publish.api_center import Center
from mcpgov.publish.arm import Call
from mcpgov.publish.retiring import (
    Kept,
    Past,
    kept_versions,
    properties_of,
    retiring_calls,
    supposed_calls,
    withdrawing_calls,
)

CENTER = Center("s-1", "tools", "contoso-tools")
SERVED = Past("github", ("1.3.0",), "1.4.0")
GONE = Past("github", ("1.3.0", "1.4.0"))
RUNNING: dict[str, Json] = {
    "title": "GitHub at the gateway",
    "environmentId": "/workspaces/default/environments/mcpgov",
    "definitionId": "/workspaces/default/apis/github/versions/1-4-0/definitions/default",
    "state": "active",
    "server": {"runtimeUri": ["https://mcp.contoso.com/mcp/github"]},
}


def below(call: Call) -> str:
    return call.path.partition("/workspaces/default/apis/")[2]


def test_every_version_but_the_one_that_is_served_is_retired() -> None:
    kept = [Kept("1-4-0", "1.4.0", "production"), Kept("1-3-0", "1.3.0", "deprecated"), Kept("0-1", "0.1", "design")]
    calls = list(retiring_calls(CENTER, SERVED, kept))
    assert [below(call) for call in calls] == ["github/versions/1-3-0", "github/versions/0-1"]
    assert calls[0].body == {"properties": {"title": "1.3.0", "lifecycleStage": "retired"}}
    assert len(list(retiring_calls(CENTER, GONE, kept))) == 3


def test_what_is_retired_already_is_left_alone() -> None:
    kept = [Kept("1-3-0", "1.3.0", "retired"), Kept("1-2-0", "1.2.0", "Retired"), Kept("1-4-0", "1.4.0", "production")]
    assert list(retiring_calls(CENTER, SERVED, kept)) == []


def test_a_deployment_of_what_is_gone_names_no_url() -> None:
    (call,) = withdrawing_calls(CENTER, GONE, RUNNING)
    assert below(call) == "github/deployments/gateway"
    kept = {key: RUNNING[key] for key in ("title", "environmentId", "definitionId")}
    assert call.body == {"properties": {**kept, "state": "inactive", "server": {"runtimeUri": []}}}
    assert list(withdrawing_calls(CENTER, GONE, properties_of(dict(call.body)))) == []


@pytest.mark.parametrize("more", [{"state": "inactive"}, {"server": {}}, {"server": None}])
def test_one_that_is_half_withdrawn_is_withdrawn(more: dict[str, Json]) -> None:
    assert len(list(withdrawing_calls(CENTER, GONE, {**RUNNING, **more}))) == 1


@pytest.mark.parametrize("environment", ["/workspaces/default/environments/production", "", 7])
def test_a_deployment_of_somebody_else_is_left_alone(environment: Json) -> None:
    assert list(withdrawing_calls(CENTER, GONE, {**RUNNING, "environmentId": environment})) == []


def test_what_follows_is_said_without_asking() -> None:
    calls = list(supposed_calls(CENTER, GONE))
    assert [(call.method, below(call)) for call in calls] == [
        ("GET", "github/deployments/gateway"),
        ("PUT", "github/deployments/gateway"),
        ("GET", "github/versions"),
        ("PUT", "github/versions/1-3-0"),
        ("PUT", "github/versions/1-4-0"),
    ]
    assert "body" not in calls[0].described()
    served = [(call.method, below(call)) for call in supposed_calls(CENTER, SERVED)]
    assert served == [("GET", "github/versions"), ("PUT", "github/versions/1-3-0")]
    assert [call.method for call in supposed_calls(CENTER, Past("github", (), "1.4.0"))] == ["GET"]


def test_of_an_answer_only_versions_are_read() -> None:
    answer: Any = {
        "value": [
            {"name": "1-0-0", "properties": {"title": "1.0.0", "lifecycleStage": "production"}},
            {"name": "2-0-0"},
            {"name": "3-0-0", "properties": {"title": "x" * 80}},
            {"name": "../../environments/production"},
            *({"name": 7}, {}, "1-0-0", None),
        ]
    }
    assert list(kept_versions(answer)) == [
        Kept("1-0-0", "1.0.0", "production"),
        Kept("2-0-0", "2-0-0", ""),
        Kept("3-0-0", "x" * 50, ""),
    ]


@pytest.mark.parametrize("answer", [None, [], {}, {"value": 1}])
def test_an_answer_without_versions_has_none(answer: Json) -> None:
    assert list(kept_versions(answer)) == []
