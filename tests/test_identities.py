"""Identities put together: for whom tokens may be made out, whose key a page was shown, what is written down."""

import json
import secrets
import ssl
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mcpgov.audit.record import ControlEvent
from mcpgov.credential.tokens import AzureIdentity, HostIdentity
from mcpgov.credential.vault import SealedTokens
from mcpgov.decision import Reason
from mcpgov.errors import Refusal, StoreUnavailable
from mcpgov.identities import (
    IdentityParts,
    RecordedConsents,
    audiences,
    browser_keys,
    holder_of,
    identities,
    kept_consents,
    noted,
)
from mcpgov.identity.api_key import ApiKeyAuthenticator, KeyRecord, digest, mint_key
from mcpgov.identity.signing_keys import SigningKeys
from mcpgov.models import Headers, OAuthClient, Secret, SignIn
from mcpgov.reload import load_generation
from mcpgov.settings import parse_settings
from mcpgov.snapshot import Snapshot
from mcpgov.store.database import create_database
from mcpgov.store.sqlite_keys import SqliteKeyStore
from mcpgov.store.sqlite_vault import SqliteTokenVault
from mcpgov.web import Fields, WebAnswer, WebUnavailable
from tests.peers import signing

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SETTINGS = """\
public_url: https://mcp.contoso.com
identity:
  key_headers: [X-Team-Key]
  oidc: [{ issuer: "https://issuer.example" }]
"""
CATALOG = """\
name: dev.mcpgov/city
upstream: https://city.example/mcp
connections:
  city: { clientAuthType: OAuth2, clientAudience: "api://city" }
  town: {}
"""


class Noted:
    """Where control events are written down, or cannot be."""

    def __init__(self, *, down: bool = False) -> None:
        self.events: list[tuple[str, Mapping[str, str | int]]] = []
        self.down = down

    async def __call__(self, event: ControlEvent, /, **details: str | int) -> None:
        if self.down:
            raise StoreUnavailable("the disk is full")
        self.events.append((event.value, details))


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    (tmp_path / "mcpgov.yaml").write_text(SETTINGS)
    for folder in ("catalog", "policies"):
        (tmp_path / folder).mkdir()
    (tmp_path / "catalog" / "city.yaml").write_text(CATALOG)
    return load_generation(tmp_path / "mcpgov.yaml")


@pytest.fixture
def parts(tmp_path: Path, snapshot: Snapshot) -> IdentityParts:
    store = tmp_path / "mcpgov.db"
    create_database(store)
    return IdentityParts(
        lambda: snapshot, SqliteKeyStore(store), SqliteTokenVault(store), secrets.token_bytes(32), lambda: NOW
    )


def no_host(_: AzureIdentity, __: ssl.SSLContext) -> HostIdentity:
    raise AssertionError("nobody asked for Azure")


@pytest.fixture
async def consents(parts: IdentityParts) -> AsyncGenerator[tuple[RecordedConsents, Noted]]:
    note = Noted()
    async with kept_consents(parts, note) as kept:
        yield kept, note


def test_a_token_may_be_made_out_for_its_own_connection_and_no_other(parts: IdentityParts) -> None:
    at = audiences(parts, "https://issuer.example")
    assert set(at("city")) == {"https://mcp.contoso.com/mcp/city", "api://city"}
    assert set(at("town")) == {"https://mcp.contoso.com/mcp/town"}
    assert set(at("nowhere")) == {"https://mcp.contoso.com/mcp/nowhere"}
    parts.close()


async def test_a_key_shown_on_a_page_is_known_whatever_header_callers_use(parts: IdentityParts) -> None:
    key_id, key = mint_key(secrets.choice)
    await parts.keys.create(KeyRecord(key_id, digest(key.reveal()), "ada", "", NOW))
    by_key = ApiKeyAuthenticator(parts.keys, ("x-team-key",), lambda: NOW)
    assert (await holder_of(by_key, key)).id == f"key:{key_id}"
    with pytest.raises(Refusal) as caught:
        await holder_of(by_key, Secret("no key at all"))
    assert caught.value.reason is Reason.CREDENTIAL_INVALID
    parts.close()


class OneWeb:
    """A Web with a key set at one address, and nothing anywhere else."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def get(self, url: str, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        self.asked.append(url)
        return WebAnswer(200, Headers(), json.dumps(signing.SigningKeys("oidc").jwks()).encode())

    async def post(
        self, url: str, form: Mapping[str, str], headers: Fields = (), *, private: bool = False
    ) -> WebAnswer:
        raise WebUnavailable("nobody is asked")


async def test_a_browser_is_known_by_the_keys_that_tokens_are_checked_with() -> None:
    elsewhere = "identity: { oidc: [{ issuer: 'https://issuer.example', keys_url: 'https://keys.example/all' }] }\n"
    settings, web = parse_settings("public_url: https://mcp.contoso.com\n" + elsewhere, "mcpgov.yaml"), OneWeb()
    keys = SigningKeys(web, lambda: NOW)
    found = await browser_keys(settings.identity, keys)(
        "https://issuer.example/.well-known/openid-configuration", "oidc-1"
    )
    assert [key.kid for key in found.keys] == ["oidc-1"]
    assert web.asked == ["https://keys.example/all"]
    await keys.aclose()


async def test_what_people_decide_is_written_down_by_its_name() -> None:
    note = Noted()
    await noted(note, "consent-given", {"connection": "city"})
    assert note.events == [("consent-given", {"connection": "city"})]


async def test_a_revoked_consent_is_written_down_before_it_is_gone(
    parts: IdentityParts, consents: tuple[RecordedConsents, Noted]
) -> None:
    kept, note = consents
    await parts.rows.keep(SealedTokens("key:k1", "city", "client", b"sealed", NOW))
    assert [consent.principal for consent in await kept.consents("city")] == ["key:k1"]
    note.down = True
    with pytest.raises(StoreUnavailable):
        await kept.revoke("city", "key:k1")
    assert len(await kept.consents("city")) == 1
    note.down = False
    assert (await kept.revoke("city", "key:k1")).found
    assert note.events == [("consent-revoked", {"connection": "city", "principal": "key:k1"})]
    assert await kept.consents("city") == ()


async def test_revoking_what_is_not_there_changes_nothing(consents: tuple[RecordedConsents, Noted]) -> None:
    kept, note = consents
    assert not (await kept.revoke("city", "key:k1")).found
    assert note.events == []


async def test_without_azure_nothing_of_it_is_loaded(parts: IdentityParts) -> None:
    async with identities(parts, no_host, Noted()) as who:
        with pytest.raises(Refusal) as caught:
            await who.sources.managed_token("https://search.azure.com")
    assert caught.value.reason is Reason.CREDENTIAL_UNAVAILABLE


async def test_where_no_user_consents_is_told_with_the_mend(
    consents: tuple[RecordedConsents, Noted], parts: IdentityParts
) -> None:
    kept, _ = consents
    assert kept.nobody_can("ctiy") == "There is no connection ctiy (did you mean city?)."
    assert kept.nobody_can("city").startswith("No user consents at city: that is for authType OAuth2")
    found = parts.current().connections["city"]
    client = OAuthClient("c", None, "https://as.example/token")
    for per_user in (True, False):
        one = replace(found, sign_in=SignIn(oauth=replace(client, per_user=per_user)))
        snapshot = replace(parts.current(), connections={"city": one})
        told = RecordedConsents(replace(parts, current=lambda snapshot=snapshot: snapshot), kept.oauth, Noted())
        assert (told.nobody_can("city") == "") is per_user
    nothing = replace(parts, current=lambda: replace(parts.current(), connections={}))
    assert "no connection yet" in RecordedConsents(nothing, kept.oauth, Noted()).nobody_can("city")
