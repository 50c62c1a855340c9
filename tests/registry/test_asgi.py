"""The registry as its clients ask it, over HTTP, from a gateway that serves: who sees what, and what is refused."""

import json
import os
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from mcpgov import app
from mcpgov.identity.api_key import KeyRecord, digest, mint_key
from mcpgov.models import CallerScope
from mcpgov.registry.pages import OFFICIAL
from tests.flows.house import House, house_that_knows_its_url
from tests.flows.upstream import listening
from tests.registry.shelves import text

WRITTEN = datetime(2026, 11, 1, 12, 30, 15, tzinfo=UTC).timestamp()
HIDDEN = ("hosts.example", "secret-path", "tenant", "X-Upstream-Key", "hidden", "HIDDEN_KEY", "the-value")
FILES = {
    "git": text("com.contoso/git", "1.0.0", connection="git-old"),
    "git-2": text("com.contoso/git", "2.0.0", connection="git", more="title: Repositories\n"),
    "mail": text("com.contoso/mail"),
    "gone": text("com.contoso/gone", more="status: deleted\n"),
    "other": text("org.other/other", more="status: deprecated\n"),
}
ALL = "registry: { anonymous: all }\n"
OPEN = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
}


@dataclass
class Told:
    """An answer."""

    status: int
    headers: Any
    text: str

    @property
    def body(self) -> Any:
        """The JSON in it."""
        return json.loads(self.text)

    @property
    def names(self) -> list[str]:
        """The servers on a page, with their versions."""
        return [f"{one['server']['name']} {one['server']['version']}" for one in self.body["servers"]]


def without_references(written: str) -> str:
    """The same file with its secret in it."""
    return written.replace("${env:HIDDEN_KEY}", "the-value")


@asynccontextmanager
async def serving(folder: Path, settings: str, **files: str) -> AsyncGenerator[House]:
    """A gateway with these files in its catalog."""

    def furnish(house: House) -> None:
        for name, written in (files or FILES).items():
            house.write(f"catalog/{name}.yaml", without_references(written))
            os.utime(house.folder / "catalog" / f"{name}.yaml", (WRITTEN, WRITTEN))

    async with house_that_knows_its_url(folder, settings, furnish) as built:
        yield built


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncGenerator[House]:
    """A gateway whose registry everybody sees."""
    async with serving(tmp_path, ALL) as built:
        yield built


async def ask(gateway: House, path: str, method: str = "GET", **headers: str) -> Told:
    """One request, its URL sent as it is written."""
    assert gateway.http is not None
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    url = URL(gateway.url + path, encoded=True)
    async with gateway.http.request(method, url, headers=sent) as reply:
        told = Told(reply.status, reply.headers, await reply.text())
    assert not [hidden for hidden in HIDDEN if hidden in told.text]
    assert OPEN.items() <= dict(told.headers).items()
    return told


async def scoped_key(gateway: House, *connections: str) -> str:
    """A gateway key for these connections."""
    key_id, key = mint_key(secrets.choice)
    scope = CallerScope(connections)
    async with app.openers().keys(gateway.folder / "mcpgov.yaml") as keys:
        await keys.create(KeyRecord(key_id, digest(key.reveal()), "scoped", "", datetime.now(UTC), scope=scope))
    return key.reveal()


async def test_vs_code_probes_lists_searches_and_asks_by_name(gateway: House) -> None:
    probe = await ask(gateway, "/v0.1/servers?limit=1")
    assert (probe.status, probe.headers["content-type"], len(probe.body["servers"])) == (200, "application/json", 1)
    found: list[str] = []
    query = "?limit=1&version=latest&search=" + quote("Contoso")
    while True:
        page = await ask(gateway, f"/v0.1/servers{query}")
        found += page.names
        assert all(isinstance(one["_meta"], dict) for one in page.body["servers"])
        cursor = page.body["metadata"].get("nextCursor")
        if cursor is None:
            break
        query = f"?limit=1&version=latest&cursor={cursor}"  # raw, and without the search
    assert found == ["com.contoso/git 2.0.0", "com.contoso/mail 1.0.0"]
    latest = await ask(gateway, f"/v0.1/servers/{quote('com.contoso/git', safe='')}/versions/latest")
    assert latest.body["server"]["title"] == "Repositories"
    (remote,) = latest.body["server"]["remotes"]
    assert (remote["type"], remote["url"]) == ("streamable-http", f"{gateway.url}/mcp/git")
    assert [(one["name"], one["value"]) for one in remote["headers"]] == [("Authorization", "Bearer {git_key}")]
    assert latest.body["_meta"][OFFICIAL] == {
        "status": "active",
        "statusChangedAt": "2026-11-01T12:30:15Z",
        "publishedAt": "2026-11-01T12:30:15Z",
        "updatedAt": "2026-11-01T12:30:15Z",
        "isLatest": True,
    }
    assert (await ask(gateway, "/v0.1/servers/com.contoso%2Fnone/versions/latest")).status == 404


async def test_copilot_reads_all_of_it_and_may_from_a_browser(gateway: House) -> None:
    for path in ("/v0.1/servers", "/v0/servers", "/servers"):
        assert len((await ask(gateway, path)).body["servers"]) == 4
    preflight = await ask(gateway, "/v0.1/servers", "OPTIONS", Origin="https://github.com")
    assert (preflight.status, preflight.text) == (204, "")
    versions = await ask(gateway, "/v0.1/servers/com.contoso%2Fgit/versions")
    assert versions.names == ["com.contoso/git 2.0.0", "com.contoso/git 1.0.0"]


@pytest.mark.parametrize("name", ["com.contoso%2Fgit", "com.contoso%2fgit", "com.contoso/git", "com%2Econtoso%2Fgit"])
async def test_a_name_may_be_written_in_each_way(gateway: House, name: str) -> None:
    for base in ("/v0.1/servers", "/v0/servers", "/servers"):
        assert (await ask(gateway, f"{base}/{name}/versions/1.0.0")).body["server"]["version"] == "1.0.0"


@pytest.mark.parametrize(
    "path",
    [
        "/v0.1/",
        "/v0.1/health",
        "/v0.1/serversx",
        "/v0.1/servers/",
        "/v0.1/servers/com.contoso",
        "/v0.1/servers/com.contoso%2Fgit",
        "/v0.1/servers/com.contoso%252Fgit/versions",
        "/v0.1/servers/com.contoso%2Fgit/versions/",
        "/v0.1/servers/com.contoso%2Fgit/versions/1.0.0/x",
        "/v0.1/servers/com.contoso%2Fgit/versions/9.9.9",
        "/v0.1/servers/com.contoso%2Fgit/tools",
        "/v0.1/servers/%FF%2Fgit/versions",
        "/v0.1/servers/%2F/versions",
        "/v0.1/servers/com.contoso%2Fgone/versions",
    ],
)
async def test_what_is_not_there_is_an_error_in_the_registry_s_own_shape(gateway: House, path: str) -> None:
    told = await ask(gateway, path)
    assert (told.status, list(told.body)) == (404, ["error"])


@pytest.mark.parametrize("query", ["limit=0", "cursor=zzz", "cursor=%00", "updated_since=x", "search=a&search=b"])
async def test_what_cannot_be_meant_is_a_bad_request(gateway: House, query: str) -> None:
    told = await ask(gateway, f"/v0.1/servers?{query}")
    assert (told.status, list(told.body)) == (400, ["error"])


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nothing_can_be_written(gateway: House, method: str) -> None:
    for path in ("/v0.1/publish", "/v0.1/servers/com.contoso%2Fgit/versions/1.0.0"):
        told = await ask(gateway, path, method)
        assert (told.status, list(told.body)) == (501, ["error"])


async def test_an_answer_is_sent_again_only_when_it_is_another(gateway: House) -> None:
    first = await ask(gateway, "/v0.1/servers?limit=2")
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "public, no-cache"
    assert "authorization" in first.headers["vary"]
    for known in (tag, f'"x", W/{tag}', "*"):
        again = await ask(gateway, "/v0.1/servers?limit=2", If_None_Match=known)
        assert (again.status, again.text, again.headers["etag"]) == (304, "", tag)
    assert (await ask(gateway, "/v0.1/servers?limit=3", If_None_Match=tag)).status == 200
    key = await scoped_key(gateway, "mail")
    assert (await ask(gateway, "/v0.1/servers?limit=2", If_None_Match=tag, X_API_Key=key)).status == 200
    assert (await ask(gateway, "/v0.1/servers", "HEAD")).text == ""
    gateway.write("catalog/new.yaml", without_references(FILES["mail"].replace("mail", "new")))
    gateway.reload()
    assert (await ask(gateway, "/v0.1/servers?limit=2", If_None_Match=tag)).status == 200


async def test_a_bad_entry_hides_no_other(gateway: House) -> None:
    before = (await ask(gateway, "/v0.1/servers")).text
    gateway.write("catalog/bad.yaml", "name: no name\nupstream: http://169.254.169.254/\nconnections: { bad: {} }\n")
    assert gateway.running is not None
    assert gateway.running.generations.try_reload().problems
    assert (await ask(gateway, "/v0.1/servers")).text == before


async def test_what_was_deleted_and_what_changed_is_listed_to_who_asks(gateway: House) -> None:
    deleted = await ask(gateway, "/v0.1/servers?include_deleted=true&search=gone")
    assert deleted.body["servers"][0]["_meta"][OFFICIAL]["status"] == "deleted"
    assert "remotes" not in deleted.body["servers"][0]["server"]
    assert len((await ask(gateway, "/v0.1/servers?updated_since=2026-11-01T12:30:15Z")).names) == 5
    assert (await ask(gateway, "/v0.1/servers?updated_since=2026-11-01T12:30:16Z")).names == []


async def test_by_default_a_stranger_is_asked_to_sign_in_and_written_down(tmp_path: Path) -> None:
    issuer = "identity: { oidc: [{ issuer: 'https://id.contoso.com', audiences: [a] }] }\n"
    async with serving(tmp_path, issuer) as gateway:
        told = await ask(gateway, "/v0.1/servers")
        assert (told.status, list(told.body)) == (401, ["error"])
        document = f"{gateway.url}/.well-known/oauth-protected-resource"
        assert f'resource_metadata="{document}"' in told.headers["www-authenticate"]
        (record,) = await gateway.records(event="denied")
        assert record["mcpgov.decision.reason"] == "credential-missing"
        assert record["correlation_id"] == told.headers["x-correlation-id"]


async def test_a_wrong_key_is_refused_and_written_down_whatever_everybody_sees(gateway: House) -> None:
    key = await gateway.key()
    told = await ask(gateway, "/v0.1/servers", X_API_Key=key[:-4] + "AAAA")
    assert (told.status, told.headers["www-authenticate"]) == (401, "Bearer")
    assert "servers" not in told.body
    (record,) = await gateway.records(event="denied")
    assert record["mcpgov.decision.reason"] == "credential-invalid"


async def test_a_key_shows_what_it_may_reach(tmp_path: Path) -> None:
    async with serving(tmp_path, "") as gateway:
        everything = await ask(gateway, "/v0.1/servers", X_API_Key=await gateway.key())
        assert len(everything.names) == 4
        assert everything.headers["cache-control"] == "private, no-cache"
        key = await scoped_key(gateway, "git-*", "mail")
        assert (await ask(gateway, "/v0.1/servers", X_API_Key=key)).names == [
            "com.contoso/git 1.0.0",
            "com.contoso/mail 1.0.0",
        ]
        path = "/v0.1/servers/com.contoso%2Fgit/versions"
        assert (await ask(gateway, f"{path}/2.0.0", X_API_Key=key)).status == 404
        assert (await ask(gateway, f"{path}/latest", X_API_Key=key)).body["server"]["version"] == "1.0.0"
        assert await gateway.records() == []


async def test_strangers_see_what_the_settings_say_as_soon_as_they_say_it(tmp_path: Path) -> None:
    async with serving(tmp_path, "registry: { anonymous: [org.*] }\n") as gateway:
        assert (await ask(gateway, "/v0.1/servers")).names == ["org.other/other 1.0.0"]
        settings = (gateway.folder / "mcpgov.yaml").read_text()
        gateway.write("mcpgov.yaml", settings.replace("[org.*]", "[com.contoso/mail]"))
        gateway.reload()
        assert (await ask(gateway, "/v0.1/servers")).names == ["com.contoso/mail 1.0.0"]


async def test_callers_who_need_no_key_to_call_see_what_strangers_see(tmp_path: Path) -> None:
    config = tmp_path / "mcpgov.yaml"
    config.write_text('audit: { store: "sqlite:///audit.db" }\nidentity: { allow_anonymous: true }\n')
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "mail.yaml").write_text(without_references(FILES["mail"]))
    for registry, status in (("", 401), (ALL, 200)):
        config.write_text(config.read_text() + registry)
        async with (
            app.running(config) as running,
            listening(running.gateway) as url,
            aiohttp.ClientSession() as http,
            http.get(f"{url}/servers") as reply,
        ):
            assert reply.status == status


async def test_without_the_setting_a_card_is_a_connection_like_any_other(gateway: House) -> None:
    assert gateway.http is not None
    assert (await gateway.http.get(f"{gateway.url}/mcp/git/server-card")).status == 401
    assert (await gateway.http.get(f"{gateway.url}/.well-known/ai-catalog.json")).status == 404


async def test_cards_are_served_where_they_are_asked_for(tmp_path: Path) -> None:
    async with serving(tmp_path, f"{ALL}experimental: {{ server_cards: true }}\n") as gateway:
        catalog = await ask(gateway, "/.well-known/ai-catalog.json")
        assert catalog.headers["content-type"] == "application/ai-catalog+json"
        assert len(catalog.body["entries"]) == 4
        for entry in catalog.body["entries"]:
            card = await ask(gateway, entry["url"].removeprefix(gateway.url))
            assert card.headers["content-type"] == "application/mcp-server-card+json"
            assert [f"{one['url']}/server-card" for one in card.body["remotes"]] == [entry["url"]]
            assert (await ask(gateway, f"{URL(entry['url']).path}", If_None_Match=card.headers["etag"])).status == 304
        assert (await ask(gateway, "/mcp/gone/server-card")).status == 404
        key = await scoped_key(gateway, "mail")
        assert (await ask(gateway, "/mcp/git/server-card", X_API_Key=key)).status == 404
        assert (await ask(gateway, "/mcp/mail/server-card", X_API_Key=key)).status == 200
