"""What is published is the gateway's, under names that stay the same."""

import json
import re
import uuid
from dataclasses import replace

import pytest

from mcpgov.models import AuthType
from mcpgov.publish.api_center import (
    DATA_READER,
    Center,
    Listing,
    assignment_name,
    authorization,
    publishing_calls,
    version_id,
)
from mcpgov.publish.arm import Call
from mcpgov.publish.offer import KeyHeader, NotOffered
from tests.catalog.offers import AUDIENCE, URL, offer

CENTER = Center("s-1", "tools", "contoso-tools")
GROUP = "11111111-2222-3333-4444-555555555555"
GITHUB = Listing(offer(), "com.contoso/github", "1.4.0", "GitHub", "Repositories, issues and pull requests")


def published(*listings: Listing, readers: tuple[str, ...] = ()) -> list[Call]:
    return list(publishing_calls(CENTER, listings, readers))


def test_a_connection_is_an_api_that_runs_at_the_gateway() -> None:
    environment, api, version, definition, deployment = published(GITHUB)
    below = [call.path.partition("/workspaces/default/")[2] for call in (api, version, definition, deployment)]
    assert below == [
        "apis/github",
        "apis/github/versions/1-4-0",
        "apis/github/versions/1-4-0/definitions/default",
        "apis/github/deployments/gateway",
    ]
    assert environment.path.endswith("/environments/mcpgov")
    assert {call.api_version for call in published(GITHUB)} == {"2024-03-01"}
    properties = deployment.body["properties"]
    assert isinstance(properties, dict)
    assert properties["server"] == {"runtimeUri": [URL]}
    assert properties["environmentId"] == "/workspaces/default/environments/mcpgov"
    assert properties["definitionId"] == "/workspaces/default/apis/github/versions/1-4-0/definitions/default"


def test_what_people_read_is_the_entrys_or_else_its_name() -> None:
    _, api, *_ = published(GITHUB)
    expected = {"title": "GitHub", "kind": "mcp", "summary": GITHUB.description, "description": GITHUB.description}
    assert api.body == {"properties": expected}
    _, bare, *_ = published(Listing(offer(), "com.contoso/github", "0.0.0"))
    assert json.dumps(bare.body).count("com.contoso/github") == 2
    _, long, *_ = published(replace(GITHUB, title="x" * 100))
    assert f'"title": "{"x" * 50}"' in json.dumps(long.body)


def test_publishing_again_asks_for_the_same() -> None:
    assert published(GITHUB, readers=(GROUP,)) == published(GITHUB, readers=(GROUP.upper(),))


def test_a_group_may_read_the_catalog() -> None:
    *_, call = published(GITHUB, readers=(GROUP,))
    assert call.api_version == "2022-04-01"
    assert call.path.startswith(f"{CENTER.path()}/providers/Microsoft.Authorization/roleAssignments/")
    role = f"/subscriptions/s-1/providers/Microsoft.Authorization/roleDefinitions/{DATA_READER}"
    expected = {"roleDefinitionId": role, "principalId": GROUP, "principalType": "Group"}
    assert call.body == {"properties": expected}


def test_the_name_of_an_assignment_is_a_uuid_of_what_it_says() -> None:
    name = uuid.UUID(assignment_name("/Scope", GROUP))
    assert name == uuid.uuid5(uuid.NAMESPACE_URL, f"/scope|{DATA_READER}|{GROUP}")
    assert str(name) == assignment_name("/scope", GROUP) != assignment_name("/other", GROUP)


def test_a_group_is_named_by_its_object_id() -> None:
    with pytest.raises(NotOffered, match="object id"):
        published(readers=("developers",))


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("1.0.0", "1-0-0"),
        ("2.1.0-Beta+7", "2-1-0-beta-7"),
        ("v1", "version-v1"),
        ("2", "version-2"),
        ("9" * 200, "9" * 90),
    ],
)
def test_a_version_is_an_id(version: str, name: str) -> None:
    assert version_id(version) == name


@pytest.mark.parametrize(("status", "stage"), [("active", "production"), ("deprecated", "deprecated")])
def test_the_stage_of_a_version_follows_from_the_status_of_the_entry(status: str, stage: str) -> None:
    _, _, version, _, deployment = published(replace(GITHUB, status=status))
    assert version.body == {"properties": {"title": "1.4.0", "lifecycleStage": stage}}
    assert URL in json.dumps(deployment.body)


def test_every_name_and_title_has_a_length_that_azure_takes() -> None:
    calls = published(replace(GITHUB, title="x" * 100, version="1." + "0" * 200))
    for call in calls:
        assert all(
            re.fullmatch(r"[a-zA-Z0-9-]{3,90}", name) for name in call.path.partition("/workspaces/")[2].split("/")
        )
        properties = call.body["properties"]
        assert isinstance(properties, dict)
        assert 1 <= len(str(properties["title"])) <= 50
    with pytest.raises(NotOffered, match="too short a name"):
        published(replace(GITHUB, offer=replace(offer(), name="gh")))


def test_what_to_choose_in_the_portal_follows_from_how_callers_sign_in() -> None:
    assert authorization(offer(AuthType.NONE)) == ""
    assert "HTTP, bearer" in authorization(offer())
    assert "API Key, in the header X-Api-Key" in authorization(replace(offer(), key_header=KeyHeader("X-Api-Key")))
    assert "OAuth, at https://login.microsoftonline.com" in authorization(offer(AuthType.OAUTH2))
    assert "the issuer of the settings" in authorization(offer(AuthType.OAUTH2, None))
    assert AUDIENCE in authorization(offer(AuthType.USER_ENTRA))
