"""The OpenAPI document of the registry: all that it says is served so, and nothing is served that it does not say."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest

from mcpgov.registry.asked import parse_asked
from tests.flows.house import House
from tests.registry.test_asgi import ALL, ask, serving
from tests.supply.registry_openapi import ASKED, registry_openapi

DOCUMENT: Any = registry_openapi("v0.1")
NAMED = {"name": quote("com.contoso/git", safe=""), "version": "latest"}


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncGenerator[House]:
    """A gateway whose registry everybody sees."""
    async with serving(tmp_path, ALL) as built:
        yield built


def faults(path: str, status: str, body: object) -> list[str]:
    """What is wrong with an answer, by the schema that the document has for it."""
    content = DOCUMENT["paths"][path]["get"]["responses"][status]["content"]["application/json"]
    schema = {**content["schema"], "components": DOCUMENT["components"]}
    return [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(body)]


@pytest.mark.parametrize("path", DOCUMENT["paths"])
async def test_each_path_answers_as_its_schemas_say(gateway: House, path: str) -> None:
    there = await ask(gateway, path.format(**NAMED))
    assert (there.status, faults(path, "200", there.body)) == (200, [])
    known = await ask(gateway, path.format(**NAMED), If_None_Match=there.headers["etag"])
    assert known.status == 304
    wrong = await ask(gateway, f"{path.format(**NAMED)}?include_deleted=perhaps")
    assert (wrong.status, faults(path, "400", wrong.body)) == (400, [])
    if "{name}" in path:
        missing = await ask(gateway, path.format(name="com.contoso%2Fnone", version="1.0.0"))
        assert (missing.status, faults(path, "404", missing.body)) == (404, [])


@pytest.mark.parametrize("path", DOCUMENT["paths"])
async def test_whoever_has_no_credential_may_be_refused(tmp_path: Path, path: str) -> None:
    async with serving(tmp_path, "") as closed:
        refused = await ask(closed, path.format(**NAMED))
    assert (refused.status, faults(path, "401", refused.body)) == (401, [])


async def test_nothing_else_is_there(gateway: House) -> None:
    for path in ("/v0.1/", "/v0.1/publish", "/v0.1/servers/com.contoso%2Fgit", "/v0.1/health", "/servers/a/b/c/d/e"):
        assert (await ask(gateway, path)).status == 404
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert (await ask(gateway, "/v0.1/servers", method)).status == 501


@pytest.mark.parametrize("name", ASKED)
def test_each_parameter_is_read_and_changes_what_is_asked(name: str) -> None:
    values = {"limit": "7", "cursor": "", "updated_since": "2026-11-01T00:00:00Z", "include_deleted": "true"}
    if name == "cursor":  # tests/registry/test_asked.py has it: it is made by the registry alone
        return
    assert parse_asked(f"{name}={values.get(name, 'x')}".encode()) != parse_asked(b"")


def test_the_schemas_can_fail() -> None:
    assert faults("/v0.1/servers", "200", {"servers": []}) != []
    assert faults("/v0.1/servers", "400", {}) != []
