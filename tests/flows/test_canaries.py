"""Sixty secrets and more in every place where one can be; afterwards none stands anywhere that people read.

Whatever was logged, at the finest level and by every library, whatever lies on the disk, whatever was answered to a
refused call is searched: for each secret as it is, and as base64, hex and URL encoding would have it.
"""

import base64
import json
import logging
import secrets as random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
import structlog

from mcpgov import app
from mcpgov.identity.api_key import KeyRecord, digest, mint_key
from mcpgov.models import CallerScope
from mcpgov.telemetry import configure_logging
from tests.flows.house import META, Reply
from tests.flows.identity_world import SECRETS, VAULT_KEY, World, link_in, world
from tests.flows.upstream import listening
from tests.peers.entra_tokens import BLUEPRINT, GATEWAY_APP, OTHER_TENANT
from tests.peers.signing import rsa_key
from tests.peers.web_peer import oauth_error

CONFIGURED: Final = {
    name: f"{name.lower().replace('_', '-')}-{random.token_hex(12)}"
    for name in (
        *("NAMED_VALUE", "FILE_KEY", "REDIS_PASSWORD", "SERVER_ENV", "QUERY_SIGNATURE", "LITELLM_KEY", "BROKEN_KEY"),
        *("HEADER_VALUE", "BROKEN_QUERY", "PROXY_USER_KEY"),
    )
}
SETTINGS: Final = """\
named_values: { canary: "${env:NAMED_VALUE}" }
counters: { url: "redis://:${env:REDIS_PASSWORD}@127.0.0.1:1/0", when_down: local }
"""
FILES: Final = {
    "catalog/more.yaml": f"""\
name: dev.mcpgov/more
upstream: "{{upstream}}/mcp?sig={CONFIGURED["QUERY_SIGNATURE"]}"
private: true
policies: [tells]
connections:
  signed: {{ authType: CustomKeys, keys: {{ X-File: "${{file:secret.txt}}", X-LiteLLM: os.environ/LITELLM_KEY }} }}
""",
    "catalog/broken.yaml": f"""\
name: dev.mcpgov/broken
upstream: "{{broken}}/mcp?sig={CONFIGURED["BROKEN_QUERY"]}"
private: true
connections:
  broken: {{ authType: CustomKeys, keys: {{ Authorization: "Bearer ${{env:BROKEN_KEY}}" }} }}
""",
    "catalog/local.yaml": """\
name: dev.mcpgov/local
command: [python3, -c, "import os, sys; sys.stderr.write(os.environ['TOKEN'][:0] + 'fell over'); sys.exit(3)"]
env: { TOKEN: "${env:SERVER_ENV}" }
connections:
  local: {}
""",
    "policies/tells.yaml": """\
inbound:
  - rate-limit-by-key: { calls: 1000, renewal-period: 60, counter-key: principal.id }
  - set-header: { name: X-Canary, value: "{{canary}} and ${env:HEADER_VALUE}" }
  - trace: { source: canary, severity: error, message: said }
""",
}


@dataclass
class Broken:
    """An upstream that answers 500 and tells all it knows: its body, its headers and its challenge are secrets."""

    told: dict[str, str] = field(
        default_factory=lambda: {name: f"{name}-{random.token_hex(12)}" for name in ("body", "cookie", "realm")}
    )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            more = (await receive()).get("more_body", False)
        headers = [(b"set-cookie", self.told["cookie"].encode()), (b"www-authenticate", self.told["realm"].encode())]
        body = self.told["body"].encode()
        await send({"type": "http.response.start", "status": 500, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@dataclass
class Canaries:
    """The secrets, by where they were put."""

    by_place: dict[str, str] = field(default_factory=lambda: {**SECRETS, **CONFIGURED, "VAULT_KEY": VAULT_KEY})

    def put(self, place: str, secret: str = "") -> str:
        """A secret that stands in that place from now on."""
        self.by_place[place] = secret or f"canary-{place}-{random.token_hex(12)}"
        return self.by_place[place]

    def found_in(self, text: bytes) -> list[str]:
        """Which of them stand in there, in any spelling."""
        return [place for place, secret in self.by_place.items() if any(one in text for one in spellings(secret))]


def spellings(secret: str) -> Iterator[bytes]:
    """The secret as it is, and as the usual encodings write it, whatever stands before and behind."""
    plain = secret.encode()
    yield plain
    yield from (quote(secret, safe=safe).encode() for safe in ("", "/"))
    yield plain.hex().encode()
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + plain)
        inner = text[4 if shift else 0 : len(text) // 4 * 4 - 4]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))


async def minted(peers: World, canaries: Canaries, place: str, **changes: Any) -> str:
    """A gateway key as it is kept with these changes, and its secret put down."""
    key_id, key = mint_key(random.choice)
    record = replace(KeyRecord(key_id, digest(key.reveal()), place, "", datetime.now(UTC)), **changes)
    async with app.openers().keys(peers.house.folder / "mcpgov.yaml") as keys:
        await keys.create(record)
    return canaries.put(place, key.reveal())


async def keys_of_callers(peers: World, canaries: Canaries) -> dict[str, str]:
    """A good key, and one for each way in which a key can be bad."""
    now = datetime.now(UTC)
    good = await minted(peers, canaries, "key")
    return {
        "good": good,
        "scoped": await minted(peers, canaries, "scoped-key", scope=CallerScope(("nowhere",), ("none",))),
        "revoked": await minted(peers, canaries, "revoked-key", revoked_at=now),
        "expired": await minted(peers, canaries, "expired-key", expires_at=now - timedelta(days=1)),
        "unknown": canaries.put("unknown-key", mint_key(random.choice)[1].reveal()),
        "mistyped": canaries.put("mistyped-key", f"{good[:-3]}zzz"),
        "foreign": canaries.put("foreign-key", f"sk-{random.token_hex(24)}"),
    }


def tokens_of_callers(peers: World, canaries: Canaries) -> dict[str, str]:
    """A token of every kind of caller, and bad ones."""
    entra = peers.entra.tokens
    made = {
        "user": entra.user(aud=GATEWAY_APP),
        "blueprint-user": entra.user(aud=BLUEPRINT),
        "user-v1": entra.user(version=1, aud=f"api://{GATEWAY_APP}"),
        "agent": entra.agent(aud=GATEWAY_APP),
        "agent-on-behalf": entra.agent_on_behalf(aud=GATEWAY_APP),
        "agent-user": entra.agent_user(aud=GATEWAY_APP),
        "managed-identity": entra.managed_identity(aud=GATEWAY_APP),
        "app": entra.app(aud=GATEWAY_APP),
        "expired": entra.user(aud=GATEWAY_APP, exp=1),
        "other-audience": entra.user(aud="api://somebody-else"),
        "other-tenant": entra.user(aud=GATEWAY_APP, tid=OTHER_TENANT),
        "other-key": entra.keys.sign(entra.claims(), key=rsa_key("evil")),
        "other-issuer": entra.user(aud=GATEWAY_APP, iss="https://elsewhere.example"),
    }
    return {name: canaries.put(f"{name}-token", token) for name, token in made.items()}


def fields_of_callers(canaries: Canaries) -> dict[str, str]:
    """Header fields in which callers carry secrets that are nobody's business here."""
    return {
        "cookie": f"session={canaries.put('cookie')}",
        "referer": f"https://example.com/?token={canaries.put('referer')}",
        "proxy_authorization": f"Basic {canaries.put('proxy-authorization')}",
        "x_custom_token": canaries.put("custom-header"),
        "x_forwarded_access_token": canaries.put("forwarded-token"),
        "forwarded": f"for={canaries.put('forwarded')}",
    }


async def everything(peers: World, canaries: Canaries) -> list[Reply]:
    """Calls of every kind, good and bad; what was answered."""
    keys, tokens = await keys_of_callers(peers, canaries), tokens_of_callers(peers, canaries)
    fields = fields_of_callers(canaries)
    replies: list[Reply] = []
    good = keys["good"]
    for key in keys.values():
        replies += [await peers.call(connection, key=key, **fields) for connection in ("keys", "signed", "open")]
    for token in tokens.values():
        replies += [await peers.call(name, token=token, **fields) for name in ("user", "second", "agent-for-user")]
    for connection in ("managed", "agent", "service", "broken", "local", "nowhere", "consented"):
        replies.append(await peers.call(connection, key=good, **fields))
    link = canaries.put("consent-link", link_in(replies[-1]))
    await peers.consent(link, good, "ada")
    replies.append(await peers.call("consented", key=good))
    peers.oauth.expire_everything()
    replies += [await peers.call("consented", key=good) for _ in range(2)]
    peers.oauth.revoke_everything_of("ada")
    peers.entra.fail("/oauth2/v2.0/token", oauth_error(400, "invalid_grant", canaries.put("entra-error")), times=None)
    replies += [await peers.call("user", token=peers.entra.tokens.user(aud=GATEWAY_APP))]
    replies += await odd_requests(peers, canaries, good)
    return replies


async def odd_requests(peers: World, canaries: Canaries, key: str) -> list[Reply]:
    """Secrets in arguments, in places where none belongs, and in what cannot be read."""
    client = await peers.house.client("keys", key)
    argument = canaries.put("argument")
    replies = [
        await client.call("get_city", {"password": argument, "nested": [{argument: argument}]}),
        await client.call(canaries.put("tool-name"), {}),
        await client.request("resources/read", {"uri": f"https://files.example/?sig={canaries.put('uri-query')}"}),
        await client.post(f'{{"jsonrpc": "2.0", "id": "{canaries.put("broken-json")}"'.encode(), {}),
        await client.handshake_request("ping", mcp_session_id=canaries.put("session-id")),
    ]
    wrong = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x", "_meta": META}})
    return [*replies, await client.post(wrong.encode(), {"Mcp-Name": canaries.put("mirrored-name")})]


def note_the_peers(peers: World, canaries: Canaries) -> None:
    """What the peers were shown or have issued, each a secret too."""
    asked = [*peers.entra.ledger, *peers.oauth.ledger]
    forms = ("client_assertion", "assertion", "code", "code_verifier", "refresh_token", "token")
    seen = [one.form.get(name, "") for one in asked for name in forms]
    seen += [one.query.get(name, "") for one in asked for name in ("state", "nonce", "code_challenge")]
    seen += [*peers.oauth.access, *peers.oauth.refresh]
    seen += [
        one.headers.get(name, "").removeprefix("Bearer ")
        for one in peers.upstream.ledger
        for name in ("authorization", "x-ms-query-source-authorization")
    ]
    for number, secret in enumerate(filter(None, seen)):
        canaries.put(f"peers-{number}", secret)


# What is told on purpose: a record names the tool that was called, a refusal leads its caller to the consent page.
TOLD: Final = {"audit": {"tool-name"}, "reply": {"tool-name", "consent-link"}}


def written_by_us(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Everything that the gateway wrote: its store, and what lies beside it."""
    ours = [path for path in folder.iterdir() if path.name.startswith("audit.db")]
    assert ours
    yield from ((path.name, path.read_bytes()) for path in ours)


def foreign(peers: World, canaries: Canaries) -> list[str]:
    """What stands in the upstream's ledger and should not: a caller's credential, or another connection's."""
    callers = [place for place in canaries.by_place if place.endswith(("-key", "-token")) or place == "key"]
    carried = [*callers, "cookie", "referer", "proxy-authorization", "custom-header", "forwarded", "consent-link"]
    names = [*SECRETS, "VAULT_KEY", "NAMED_VALUE", "FILE_KEY", "LITELLM_KEY"]
    found: list[str] = []
    for seen in peers.upstream.ledger:
        text = f"{seen.target} {seen.headers} {seen.body!r}".encode()
        signed = "sig=" in seen.target
        own = {"NAMED_VALUE", "FILE_KEY", "LITELLM_KEY"} if signed else {"CITY_KEY", "TOWN_KEY"}
        wrong = Canaries({name: canaries.by_place[name] for name in [*carried, *names] if name not in own})
        found += wrong.found_in(text)
    return found


def search(canaries: Canaries, places: Iterable[tuple[str, bytes]]) -> Mapping[str, set[str]]:
    """The secrets that stand in each place."""
    found = {name: set(canaries.found_in(text)) - TOLD.get(name[:5], set()) for name, text in places}
    return {name: secrets for name, secrets in found.items() if secrets}


def test_the_search_finds_a_secret_in_every_spelling() -> None:
    canaries = Canaries({"a": "canary-?/+-secret"})
    plain = canaries.by_place["a"].encode()
    for text in (plain, quote(plain).encode(), plain.hex().encode(), base64.b64encode(b"user:" + plain)):
        assert canaries.found_in(b"<<" + text + b">>") == ["a"]
    assert canaries.found_in(base64.urlsafe_b64encode(b"x" + plain + b"y")) == ["a"]
    assert canaries.found_in(b"nothing") == []


async def test_no_secret_stands_in_logs_records_files_or_refusals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    canaries, upstream = Canaries(), Broken()
    for name, value in CONFIGURED.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "secret.txt").write_text(CONFIGURED["FILE_KEY"])
    configure_logging(json=True, level="debug")
    logging.getLogger().setLevel(logging.DEBUG)  # more than a gateway ever lets libraries say
    try:
        async with listening(upstream) as broken:
            files = {name: text.replace("{broken}", broken) for name, text in FILES.items()}
            async with world(tmp_path, monkeypatch, settings=SETTINGS, files=files) as peers:
                replies = await everything(peers, canaries)
                assert peers.house.running is not None
                shown = repr(peers.house.running.generations.current()) + repr(peers.house.running.stages)
                await peers.house.records()
    finally:
        logging.getLogger().setLevel(logging.WARNING)
        structlog.reset_defaults()
    for name, value in upstream.told.items():
        canaries.put(f"upstream-{name}", value)
    note_the_peers(peers, canaries)
    assert len(set(canaries.by_place.values())) >= 60
    logs = "".join(capfd.readouterr())
    assert "policy-trace" in logs
    refused = [reply for reply in replies if reply.status >= 400 or b"isError" in reply.body]
    assert len(refused) >= 30
    places = [("logs", logs.encode()), ("repr", shown.encode()), *written_by_us(tmp_path)]
    places += [(f"reply {n}", f"{reply.headers}".encode() + reply.body) for n, reply in enumerate(refused)]
    assert search(canaries, places) == {}
    assert foreign(peers, canaries) == []
