"""The admin API under schemathesis: what its OpenAPI document says, made up and broken, asked of a gateway that runs.

No status that the document does not name, no answer of another type, nothing without a key but 401, no 5xx; and an
upstream behind the gateway executes nothing of it.
"""

import asyncio
import json
import secrets
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import urljoin

import pytest

from mcpgov.admin.access import AdminKey, Role, mint_admin_key
from mcpgov.identity.api_key import digest
from mcpgov.store.database import create_database
from mcpgov.store.sqlite_admin_keys import SqliteAdminKeys
from tests.audit.calls import NOW
from tests.examples import MANY
from tests.faults.served import Served, standing
from tests.peers.process import free_port

EXAMPLES = str(MANY // 100)  # of each operation, besides those that its parameters ask for
# Allow is looked at by unsupported_method; that it names what the document names is not so where a policy is called
# explain: GET of it is GET /policies/{name}, and POST of the same path is another thing.
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"),
    *("negative_data_rejection", "unsupported_method", "ignored_auth"),
)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Served]:
    """A gateway with an admin listener and an upstream that keeps a ledger."""
    async with standing(tmp_path) as site:
        site.settings(f"admin: {{ listen: 127.0.0.1:{free_port()} }}")
        create_database(site.store)
        await site.launch()
        yield site
        assert await site.end() == 0


async def key_of(site: Served, role: Role) -> str:
    """A key for somebody with this role."""
    key_id, key = mint_admin_key(secrets.choice)
    await SqliteAdminKeys(site.store).create(AdminKey(key_id, digest(key.reveal()), "dana", role, NOW))
    return key.reveal()


async def document_of(site: Served) -> bytes:
    """The OpenAPI document, as a viewer reads it."""
    bearer = {"Authorization": f"Bearer {await key_of(site, Role.VIEWER)}"}
    async with site.http.get(urljoin(site.console, "/admin/v1/openapi.json"), headers=bearer) as response:
        assert response.status == 200
        return await response.read()


async def test_the_admin_api_answers_as_its_document_says_whatever_is_asked(site: Served, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_bytes(await document_of(site))
    words = ["run", "openapi.json", "--url", urljoin(site.console, "/"), "--checks", ",".join(CHECKS)]
    words += ["--header", f"Authorization: Bearer {await key_of(site, Role.ADMIN)}", "--max-examples", EXAMPLES]
    words += ["--generation-deterministic", "--continue-on-failure", "--no-color"]
    command = str(Path(sys.executable).with_name("schemathesis"))
    run = await asyncio.create_subprocess_exec(command, *words, cwd=tmp_path, stdout=PIPE, stderr=STDOUT)
    told, _ = await run.communicate()
    assert run.returncode == 0, told.decode("utf-8", "replace")
    assert site.executed() == []


@pytest.mark.parametrize(
    "given", [{}, {"Authorization": "Bearer "}, {"Authorization": "Basic YTpi"}, {"Cookie": "s=1"}]
)
async def test_nobody_without_a_key_gets_anything_but_401(site: Served, given: dict[str, str]) -> None:
    paths = json.loads(await document_of(site))["paths"]
    asked = [(method, path) for path, methods in paths.items() for method in methods]
    assert len(asked) > 20
    for method, path in [*asked, ("get", "/admin/v1/nothing"), ("trace", "/admin/v1/keys"), ("get", "/admin/v2/keys")]:
        url = urljoin(site.console, path.replace("{", "").replace("}", ""))
        async with site.http.request(method, url, headers=given, data=b"{") as response:
            assert (response.status, response.headers["www-authenticate"]) == (401, "Bearer"), (method, path)
            assert json.loads(await response.read())["error"]["reason"].startswith("credential-")
    assert site.executed() == []
