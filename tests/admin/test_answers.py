"""What the document says of answers is what the routes answer: all of it, and nothing beside it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import jsonschema_rs
import pytest
from typer.testing import CliRunner

from mcpgov.admin.access import Role
from mcpgov.admin.answers import SHAPES
from mcpgov.admin.routes import JSON_TYPE
from mcpgov.app import build_cli
from mcpgov.audit.exported import ExportState
from mcpgov.pinning.definitions import definition_digest
from tests.admin.house import CITY, SEARCH, AdminHouse, listed
from tests.audit.calls import NOW

CITY_PATH = CITY.replace("/", "%2F")
READ = {
    "get-audit-calls": "/audit/calls",
    "get-audit-calls-id": "/audit/calls/1",
    "get-audit-stats": "/audit/stats",
    "get-audit-usage": "/audit/usage",
    "get-audit-state": "/audit/state",
    "get-audit-events": "/audit/events",
    "get-audit-exports": "/audit/exports",
    "get-keys": "/keys",
    "get-admin-keys": "/admin-keys",
    "get-catalog": "/catalog",
    "get-catalog-server-pins": f"/catalog/{CITY_PATH}/pins",
    "get-connections": "/connections",
    "get-connections-name": "/connections/town",
    "get-policies": "/policies",
    "get-policies-name": "/policies/company",
    "get-openapi-json": "/openapi.json",
}


def strict(schema: Any) -> Any:
    """The same schema, with no member beside those that it names."""
    if isinstance(schema, list):
        return [strict(one) for one in cast("list[object]", schema)]
    if not isinstance(schema, Mapping):
        return schema
    made = {name: strict(one) for name, one in cast("Mapping[str, object]", schema).items()}
    return {**made, "additionalProperties": False} if "properties" in made else made


def faults(name: str, answer: object) -> list[str]:
    """What an answer has that its schema does not say, or the other way round."""
    validator = jsonschema_rs.validator_for(strict(SHAPES[name]))
    return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(answer)]


def test_every_route_that_answers_json_is_described_and_no_other(house: AdminHouse) -> None:
    assert {route.name for route in house.listener.routes if route.content_type == JSON_TYPE} == set(SHAPES)


@pytest.mark.parametrize(("name", "path"), READ.items(), ids=READ.keys())
async def test_what_is_read_has_its_shape(house: AdminHouse, name: str, path: str) -> None:
    await listed(house, SEARCH)
    await house.change("POST", "/keys", Role.ADMIN, {"name": "ci", "connections": ["city"], "expires": "90d"})
    told = await house.api(path, Role.ADMIN)
    assert (told.status, faults(name, told.json)) == (200, [])


async def test_what_is_changed_has_its_shape(house: AdminHouse) -> None:
    await listed(house, SEARCH)
    shown = {"tool": "search", "digest": definition_digest(SEARCH)}
    for path, name, body in (
        ("/keys", "post-keys", {"name": "ci"}),
        ("/admin-keys", "post-admin-keys", {"name": "dana", "role": "viewer"}),
        (f"/catalog/{CITY_PATH}/approve", "post-catalog-server-approve", shown),
        (f"/catalog/{CITY_PATH}/reject", "post-catalog-server-reject", shown),
    ):
        told = await house.change("POST", path, Role.ADMIN, body)
        assert (told.status in {200, 201}, faults(name, told.json)) == (True, []), path
        if "key" in told.json:
            gone = await house.change("DELETE", f"{path}/{told.json['id']}", Role.ADMIN)
            assert (gone.status, faults(f"delete{path.replace('/', '-')}-id", gone.json)) == (200, [])


def test_an_export_has_its_shape() -> None:
    state = ExportState("siem", "https://collector.example", "otlp", 7, 3, NOW, None, "")
    exports: Any = [state.fields]
    assert faults("get-audit-exports", {"exports": exports}) == []


@pytest.mark.parametrize("tool", ["get_city", "delete_city"])
def test_an_explanation_has_its_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str) -> None:
    monkeypatch.chdir(tmp_path)
    command = build_cli()
    assert CliRunner().invoke(command, ["init"]).exit_code == 0
    words = ["policy", "explain", "--connection", "microsoft-learn", "--tool", tool, "--json"]
    assert faults("post-policies-explain", json.loads(CliRunner().invoke(command, words).stdout)) == []


def test_the_schemas_can_fail() -> None:
    assert faults("get-keys", json.loads('{"keys": [{}]}')) != []
    assert faults("get-keys", json.loads('{"keys": [], "more": 1}')) != []
