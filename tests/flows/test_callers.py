"""Callers with tokens: each kind is recorded as what it is; a bad token is refused, recorded and never forwarded."""

import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.flows.identity_world import World, world
from tests.peers.entra_tokens import AGENT, BLUEPRINT, GATEWAY_APP, OTHER_TENANT, USER
from tests.peers.signing import forged, public_pem, rsa_key, segment

KINDS = {
    "agent": "agent",
    "agent_on_behalf": "agent-on-behalf-of",
    "agent_user": "agent-user",
    "managed_identity": "managed-identity",
    "app": "app",
    "user": "user",
}


@pytest.mark.parametrize("version", [1, 2])
async def test_each_kind_of_caller_is_recorded_as_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    async with world(tmp_path, monkeypatch) as peers:
        for minted, kind in KINDS.items():
            token = getattr(peers.entra.tokens, minted)(version=version, aud=GATEWAY_APP, uti=f"uti-{minted}")
            reply = await peers.call("keys", token=token)
            assert reply.status == 200, reply.body
            [record] = await peers.house.records(event="intent", correlation_id=reply.headers["x-correlation-id"])
            told = {name.removeprefix("mcpgov.principal."): value for name, value in record.items()}
            assert (told["kind"], told["token_id"]) == (kind, f"uti-{minted}")
            assert told.get("agent_id") == (AGENT if minted.startswith("agent") else None)
            assert told.get("blueprint_id") == (BLUEPRINT if minted.startswith("agent") else None)
            assert told.get("user_context") == (True if minted in {"agent_on_behalf", "agent_user", "user"} else None)
            assert "ada@example.com" not in str(record)
    assert len(peers.upstream.calls) == len(KINDS)


def by_public_key(kid: str, claims: Mapping[str, Any]) -> str:
    """A token signed with what everybody knows."""
    header = {"alg": "HS256", "typ": "JWT", "kid": kid}
    signed = f"{segment(header)}.{segment(claims)}".encode()
    return forged(header, claims, hmac.digest(public_pem(rsa_key(kid)), signed, "sha256"))


def bad_tokens(peers: World) -> dict[str, tuple[str, str]]:
    """Bad tokens, each with the reason that it is refused for."""
    entra = peers.entra.tokens
    ours = entra.claims(aud=GATEWAY_APP, oid=USER, scp="Mcp.Use", azp=GATEWAY_APP, idtyp="user")
    kid = entra.keys.kid
    header = {"alg": "RS256", "typ": "JWT", "kid": kid}
    return {
        "alg none": (forged({**header, "alg": "none"}, ours, b""), "jwt-malformed"),
        "HS256 by the public key": (by_public_key(kid, ours), "jwt-signature-invalid"),
        "another key": (entra.keys.sign(ours, key=rsa_key("evil")), "jwt-signature-invalid"),
        "a path as kid": (forged({**header, "kid": "../../etc/passwd"}, ours, b"x"), "jwt-key-unknown"),
        "jku": (forged({**header, "jku": "https://evil.example"}, ours, b"x"), "jwt-malformed"),
        "expired": (entra.user(aud=GATEWAY_APP, exp=1), "jwt-expired"),
        "not yet": (entra.user(aud=GATEWAY_APP, nbf=4_000_000_000), "jwt-not-yet-valid"),
        "another audience": (entra.user(aud="api://other"), "jwt-audience-denied"),
        "another tenant": (entra.user(aud=GATEWAY_APP, tid=OTHER_TENANT), "jwt-issuer-denied"),
        "another issuer": (entra.user(aud=GATEWAY_APP, iss="https://evil.example"), "jwt-issuer-denied"),
        "nothing at all": ("x" * 100, "credential-invalid"),
    }


async def test_a_bad_token_is_refused_recorded_and_never_forwarded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path, monkeypatch) as peers:
        for name, (token, reason) in bad_tokens(peers).items():
            reply = await peers.call("keys", token=token)
            assert (reply.status, reply.message["error"]["data"]["reason"]) == (401, reason), name
            assert "resource_metadata=" in reply.headers["www-authenticate"]
            [record] = await peers.house.records(correlation_id=reply.headers["x-correlation-id"])
            assert (record["event"], record["mcpgov.decision.reason"]) == ("denied", reason)
        assert peers.upstream.ledger == []
        assert len(peers.entra.asked("/discovery/v2.0/keys")) <= 2  # at first, and once for the unknown name


async def test_a_storm_of_unknown_keys_fetches_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(tmp_path, monkeypatch) as peers:
        ours = peers.entra.tokens.claims(aud=GATEWAY_APP)
        for number in range(50):
            token = forged({"alg": "RS256", "typ": "JWT", "kid": f"unknown-{number}"}, ours, b"x")
            assert (await peers.call("keys", token=token)).status == 401
        assert len(peers.entra.asked("/discovery/v2.0/keys")) == 1
