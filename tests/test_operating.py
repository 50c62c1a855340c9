"""The admin listener of a running gateway: who comes in, what is written down, and that it ends with the gateway."""

import asyncio
import json
import secrets
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from typer.testing import CliRunner

from mcpgov import app
from mcpgov.admin.access import AdminKey, Role, mint_admin_key
from mcpgov.audit.reader import CallFilter
from mcpgov.errors import InvalidConfiguration
from mcpgov.identity.api_key import digest
from mcpgov.operating import Operated, Operating, operating
from tests.flows.upstream import listening


@asynccontextmanager
async def operated(folder: Path, admin: str = "{}") -> AsyncGenerator[tuple[Operating, str]]:
    """A gateway's admin listener, and its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "mcpgov.yaml").write_text(f"listen: 127.0.0.1:{port}\nadmin: {admin}\n")
    for name in ("catalog", "policies"):
        (folder / name).mkdir(exist_ok=True)
    config = folder / "mcpgov.yaml"
    async with app.running(config) as running:
        settings = running.storage.settings
        assert settings.admin is not None
        parts = running.parts
        gateway = Operated(
            settings.admin,
            running.storage,
            config,
            running.generations.current,
            running.ledger,
            parts.keys,
            parts.rows,
            app.utc_now,
        )
        async with operating(gateway) as made, listening(made.listener) as url:
            yield made, url


async def test_without_an_admin_key_one_link_opens_the_console_once(tmp_path: Path) -> None:
    async with (
        operated(tmp_path) as (made, url),
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http,
    ):
        opened = f"{url}/console/open?{made.link.partition('?')[2]}"
        async with http.get(f"{url}/console", headers={"Host": "127.0.0.1:8081"}) as stranger:
            assert "Sign in" in await stranger.text()
        async with http.get(opened, headers={"Host": "127.0.0.1:8081"}, allow_redirects=False) as first:
            assert first.status in {302, 303}
        async with http.get(opened, headers={"Host": "127.0.0.1:8081"}, allow_redirects=False) as second:
            assert second.status >= 400
    found = app.openers().reader(tmp_path / "mcpgov.yaml").calls(CallFilter(control=True, limit=100))
    assert {"admin-signed-in", "admin-refused"} <= {str(call.reason) for call in found}


async def test_an_admin_key_opens_the_api_and_leaves_no_link(tmp_path: Path) -> None:
    (tmp_path / "mcpgov.yaml").write_text("admin: {}\n")
    (tmp_path / "catalog").mkdir()
    made = await asyncio.create_subprocess_exec(
        *("python", "-m", "mcpgov", "keys", "admin", "alice", "--role", "viewer", "--json"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
    )
    key = json.loads((await made.communicate())[0])["key"]
    async with operated(tmp_path) as (listener, url), aiohttp.ClientSession() as http:
        assert listener.link == ""
        headers = {"Host": "127.0.0.1:8081", "Authorization": f"Bearer {key}"}
        async with http.get(f"{url}/admin/v1/connections", headers=headers) as answer:
            assert answer.status == 200
        async with http.get(f"{url}/admin/v1/connections", headers={"Host": "127.0.0.1:8081"}) as answer:
            assert answer.status == 401


async def test_nobody_may_come_in_from_elsewhere_without_a_key(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="mcpgov keys admin NAME"):
        async with operated(tmp_path, "{ listen: 0.0.0.0:8081 }"):
            raise AssertionError("it began")


async def test_the_first_key_is_made_without_a_gateway_and_lets_it_start_for_others(tmp_path: Path) -> None:
    listen = "{ listen: 0.0.0.0:8081 }"
    (tmp_path / "mcpgov.yaml").write_text(f"admin: {listen}\n")
    verb = ["keys", "admin", "me", "--role", "admin", "--config", str(tmp_path / "mcpgov.yaml")]

    async def run(*words: str) -> str:
        done = await asyncio.to_thread(CliRunner().invoke, app.build_cli(), [*verb, *words])
        assert done.exit_code == 0
        return done.stdout

    minted = json.loads(await run("--mint", "--json"))
    assert not (tmp_path / "mcpgov.db").exists()
    for _ in range(2):  # what starts a container starts it again
        assert await run("--digest", minted["digest"]) == ""
    headers = {"Host": "127.0.0.1:8081", "Authorization": f"Bearer {minted['key']}"}
    async with operated(tmp_path, listen) as (_, url), aiohttp.ClientSession(headers=headers) as http:
        answer = await http.get(f"{url}/admin/v1/admin-keys")
        assert (answer.status, [one["name"] for one in (await answer.json())["keys"]]) == (200, ["me"])
    (made,) = app.openers().reader(tmp_path / "mcpgov.yaml").calls(CallFilter(reason="admin-key-created"))
    assert str(made.get("mcpgov.control.principal")).startswith("local:")


async def test_an_admin_key_that_the_api_made_or_revoked_is_named_in_the_ledger(tmp_path: Path) -> None:
    host = {"Host": "127.0.0.1:8081"}
    async with operated(tmp_path) as (_, url), aiohttp.ClientSession(headers=host) as http:
        opens, now = app.openers(), app.utc_now()
        async with opens.admin_keys(tmp_path / "mcpgov.yaml") as keys:
            key_id, key = mint_admin_key(secrets.choice)
            await keys.create(AdminKey(key_id, digest(key.reveal()), "root", Role.ADMIN, now))
        http.headers.update({"Authorization": f"Bearer {key.reveal()}"})
        path = f"{url}/admin/v1/admin-keys"
        async with http.post(path, json={"name": "eve", "role": "operator"}) as made:
            eve = (await made.json())["id"]
        for status in (200, 404):
            async with http.delete(f"{path}/{eve}") as revoked:
                assert revoked.status == status
        async with http.get(path) as listed:
            assert [one["state"] for one in (await listed.json())["keys"]] == ["in force", "revoked"]
    said = {"name": "eve", "role": "operator", "key": eve}
    for event in ("admin-key-created", "admin-key-revoked"):
        (found, *_) = app.openers().reader(tmp_path / "mcpgov.yaml").calls(CallFilter(reason=event))
        assert said.items() <= {name: found.get(f"mcpgov.control.{name}") for name in said}.items()
