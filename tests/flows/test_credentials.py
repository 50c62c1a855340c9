"""What each authType sends upstream, and what the record says of it: one call each, and the table in the docs."""

import base64
import re
import time
from pathlib import Path
from typing import Any, Final

import jwt
import pytest

from mcpgov.models import Json
from tests.flows.identity_world import CALLING_AGENT, SECRETS, World, link_in, world
from tests.peers.entra_tokens import BLUEPRINT, GATEWAY_APP

PAGE: Final = Path(__file__).parents[2] / "docs" / "credentials.md"
NAMES: Final = {
    "cccccccc-0000-4000-8000-000000000001": "AGENT",
    "cccccccc-0000-4000-8000-000000000002": "OTHER-AGENT",
    "aaaaaaaa-0000-4000-8000-000000000001": "APP",
    "bbbbbbbb-0000-4000-8000-000000000001": "BLUEPRINT",
    "dddddddd-0000-4000-8000-000000000001": "MANAGED-IDENTITY",
    "ffffffff-0000-4000-8000-000000000001": "USER",
}
BY_POLICY: Final = {
    "catalog/policies.yaml": """\
name: dev.mcpgov/policies
upstream: {upstream}/mcp
private: true
connections:
  by-managed: { authType: None, policies: [managed-token] }
  by-consented: { authType: None, policies: [consented-token] }
  crossing:
    authType: None
    callerToken: { header: x-ms-query-source-authorization, audience: https://search.azure.com, required: false }
    policies: [crossing]
""",
    "policies/managed-token.yaml": """\
inbound: [authentication-managed-identity: { resource: https://search.azure.com }]
""",
    "policies/consented-token.yaml": """\
inbound:
  - get-authorization-context: { provider-id: consented, context-variable-name: own }
  - set-header: { name: Authorization, value: 'Bearer ${{ variables.own.access_token }}' }
""",
    "policies/crossing.yaml": """\
inbound:
  - forward-headers: { headers: [x-ms-*, x_ms_*, x-tok*, x-tenant] }
  - choose:
      when:
        - condition: '"x-tenant" in request.headers'
          do: [validate-jwt: { header-name: X-Token, issuer-signing-keys: [{ secret: "${env:SIGNING_SECRET}" }] }]
""",
}
SIGNING: Final = base64.b64encode(b"k" * 40).decode()
SAID: Final = {value: f"`${{env:{name}}}`" for name, value in SECRETS.items()}


def plain(text: str) -> str:
    """Ids by the names that the table has for them."""
    for known, name in NAMES.items():
        text = text.replace(known, name)
    return re.sub(r"key:[0-9A-Za-z]{8}", "key:ID", text)


def received(peers: World, headers: dict[str, str]) -> str:
    """The credentials among what the upstream got, in words."""
    told: list[str] = []
    for name in ("x-city-key", "x-ms-query-source-authorization", "authorization"):
        if name not in headers:
            continue
        bearer, _, value = headers[name].rpartition(" ")
        what = SAID.get(value) or of_token(peers, value)
        told.append(f"`{name}{': ' if bearer else ''}{bearer}` with {what}")
    return "; ".join(told) or "no credential"


def of_token(peers: World, value: str) -> str:
    """Whose token it is, and for whom."""
    if user := peers.oauth.user_of(value):
        return f"the authorization server's token of `{user}`"
    claims: dict[str, Any] = jwt.decode(value, options={"verify_signature": False})
    client = claims.get("appid") or claims["azp"]
    on_behalf = f" on behalf of `{claims['oid']}`" if claims["idtyp"] == "user" else ""
    return plain(f"Entra's token of `{client}`{on_behalf} for `{claims['aud']}`")


def recorded(record: dict[str, Json]) -> str:
    """What the record says of the credential."""
    names = ("kind", "identity", "audience")
    found = [record.get(f"mcpgov.credential.{name}") for name in names]
    granted = record.get("mcpgov.credential.policy", [])
    assert isinstance(granted, list)
    return " · ".join(f"`{plain(str(value))}`" for value in (*found, *granted) if value)


async def test_the_table_of_credentials_is_what_a_run_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNING_SECRET", SIGNING)
    async with world(tmp_path, monkeypatch, files=BY_POLICY) as peers:
        key, entra = await peers.house.key(), peers.entra.tokens
        user, for_blueprint = entra.user(aud=GATEWAY_APP), entra.user(aud=BLUEPRINT)
        refused = await peers.call("consented", key=key)
        assert peers.upstream.calls == []
        assert "You can close this page" in await peers.consent(link_in(refused), key, "ada")
        calls = [
            ("open", "a key", {"key": key}),
            ("keys", "a key", {"key": key}),
            ("managed", "a key", {"key": key}),
            ("agent", "a key, or any agent that is not mapped", {"key": key}),
            ("agent", "the agent that `agentIdentities` maps", {"token": entra.agent(CALLING_AGENT)}),
            ("agent-for-user", "a user", {"token": for_blueprint}),
            ("user", "a user", {"token": user}),
            ("consented", "a key whose holder consented as `ada`", {"key": key}),
            ("service", "a key", {"key": key}),
            ("second", "a user", {"token": user}),
            ("by-managed", "a key, through a policy", {"key": key}),
            ("by-consented", "a key whose holder consented as `ada`, through a policy", {"key": key}),
        ]
        rows: list[str] = []
        for connection, caller, credential in calls:
            reply = await peers.call(connection, **credential)
            assert reply.status == 200, (connection, reply.body)
            headers = peers.upstream.calls[-1].headers
            [record] = await peers.house.records(event="intent", correlation_id=reply.headers["x-correlation-id"])
            rows.append(f"| {caller} | {received(peers, headers)} | {recorded(dict(record))} |")
            assert all(secret not in str(headers) for secret in (key, user, for_blueprint))
    table = "\n".join(["| who calls | what the upstream received | what the record says |", "|---|---|---|", *rows])
    assert table in PAGE.read_text("utf-8"), f"docs/credentials.md needs this table:\n\n{table}\n"


async def test_no_token_of_a_caller_crosses_in_a_header_that_patterns_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNING_SECRET", SIGNING)
    async with world(tmp_path, monkeypatch, files=BY_POLICY) as peers:
        token = jwt.encode({"exp": int(time.time()) + 600}, b"k" * 40, "HS256")
        theirs = {"x-ms-query-source-authorization": "Bearer spoofed", "x-token": token, "x-ms-region": "eu"}
        for more in ({}, {"x-tenant": "blue"}):
            reply = await peers.call("crossing", key=await peers.house.key(), **theirs, **more)
            assert reply.status == 200, reply.body
            sent = peers.upstream.calls[-1].headers
            assert sent["x-ms-region"] == "eu"
            assert "spoofed" not in str(sent)
            assert token not in str(sent)
