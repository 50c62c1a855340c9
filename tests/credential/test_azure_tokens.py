"""The host's identity, by azure-identity itself: few tries, one deadline, nothing followed, and nobody else's token."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import jwt
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from starlette.responses import RedirectResponse

from mcpgov.credential.azure_tokens import TRIES, AzureHost, GuardedResolver
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from tests.credential.tenant import APP_SECRET, SEARCH, SEARCH_SCOPE, TOKEN_PATH, Tenant, tenant, wall_clock
from tests.peers.entra_tokens import GATEWAY_APP, MANAGED_IDENTITY, OTHER_TENANT, TENANT, TOKEN_EXCHANGE
from tests.peers.signing import claims_of, rsa_key
from tests.peers.web_peer import json_answer

IMDS_PATH = "/metadata/identity/oauth2/token"


@pytest.fixture
async def there(tmp_path: Path) -> AsyncGenerator[Tenant, None]:
    async with tenant(tmp_path) as opened:
        yield opened


def put(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


async def refused(host: AzureHost, client_id: str = "") -> str:
    """Why there is no token."""
    with pytest.raises(Refusal) as caught:
        await host.token(SEARCH_SCOPE, client_id)
    assert caught.value.reason is Reason.CREDENTIAL_UNAVAILABLE
    return caught.value.detail


async def test_imds_gives_the_token_of_the_managed_identity(there: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, there.host.imds_environment)
    token = await there.of_host().token(SEARCH_SCOPE, "")
    claims = claims_of(token.secret.reveal())
    assert (claims["oid"], claims["aud"]) == (MANAGED_IDENTITY, SEARCH)
    assert 86_000 < (token.expires_at - token.refresh_at).total_seconds() * 2 < 86_400


async def test_container_apps_give_the_token_of_the_identity_that_is_named(
    there: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, there.host.msi_environment)
    there.host.identities["chosen"] = "object-of-chosen"
    token = await there.of_host().token(SEARCH_SCOPE, "chosen")
    assert claims_of(token.secret.reveal())["oid"] == "object-of-chosen"
    assert "object-of-chosen" not in await refused(there.of_host(), "not-there")
    assert there.host.resources == [SEARCH]  # no other identity was asked in its place


async def test_workload_identity_shows_the_token_of_the_cluster(
    there: Tenant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cluster, subject = rsa_key("cluster"), "system:serviceaccount:mcpgov:mcpgov"
    there.entra.federate(GATEWAY_APP, subject, "https://cluster.example", cluster.public_key())
    now = int(there.entra.tokens.clock())
    claims = {"iss": "https://cluster.example", "sub": subject, "aud": TOKEN_EXCHANGE, "exp": now + 60}
    file = tmp_path / "federated"
    file.write_text(jwt.encode(claims, cluster, "RS256"))
    put(monkeypatch, {"AZURE_CLIENT_ID": GATEWAY_APP, "AZURE_FEDERATED_TOKEN_FILE": str(file)})
    put(monkeypatch, {"AZURE_AUTHORITY_HOST": "https://127.0.0.1:1"})  # the authority is that of the settings
    token = await there.of_host(identity="workload").token(SEARCH_SCOPE, "")
    assert claims_of(token.secret.reveal())["appid"] == GATEWAY_APP
    file.unlink()
    assert await refused(there.of_host(identity="workload")) == "workload identity: FileNotFoundError"
    monkeypatch.delenv("AZURE_CLIENT_ID")
    assert await refused(there.of_host(identity="workload")) == "workload identity: ValueError"


async def test_the_environment_names_an_app_and_its_secret(there: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    host = there.of_host(identity="environment")
    assert await refused(host) == "environment identity: this host has none, or not the one that is named"
    put(monkeypatch, {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": GATEWAY_APP, "AZURE_CLIENT_SECRET": APP_SECRET})
    token = await host.token(SEARCH_SCOPE, "")
    assert claims_of(token.secret.reveal())["appid"] == GATEWAY_APP
    assert await refused(host, "another") == "environment identity: there is one, and another was named"
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "wrong-secret-canary")
    assert await refused(host) == "environment identity: AADSTS7000215"
    monkeypatch.setenv("AZURE_TENANT_ID", OTHER_TENANT)
    assert await refused(host) == "environment identity: AZURE_TENANT_ID is another tenant than azure.tenant_id"


async def test_each_token_is_a_new_one(there: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, there.host.imds_environment)
    host = there.of_host()
    one, other = await host.token(SEARCH_SCOPE, ""), await host.token(SEARCH_SCOPE, "")
    assert (one.secret == other.secret, len(there.host.resources)) == (False, 2)


async def test_an_endpoint_that_fails_is_asked_few_times(there: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, there.host.imds_environment)
    there.host.fail(IMDS_PATH, json_answer(503, {"error": "busy"}), None)
    assert (await refused(there.of_host())).startswith("managed identity: ")
    assert len(there.host.ledger) == 1 + TRIES


async def test_an_endpoint_that_hangs_or_is_gone_is_not_waited_for(
    there: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, there.host.imds_environment)
    there.host.hold = asyncio.Event()
    assert await refused(there.of_host(deadline=0.2)) == "managed identity: not answered in time"
    there.host.mend()
    await there.host.close()
    assert await refused(there.of_host()) == "managed identity: this host has none, or not the one that is named"
    await there.host.open()


async def test_a_redirect_is_not_followed(there: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": GATEWAY_APP, "AZURE_CLIENT_SECRET": APP_SECRET})
    there.entra.fail(TOKEN_PATH, RedirectResponse(f"{there.host.url}/canary", 307), None)
    assert (await refused(there.of_host(identity="environment"))).startswith("environment identity: ")
    assert there.host.ledger == []


async def test_an_answer_that_is_no_token_is_none_and_is_not_logged(
    there: Tenant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put(monkeypatch, there.host.imds_environment)
    host = there.of_host()
    answers = (
        {"access_token": "canary"},
        {"access_token": "canary", "expires_in": "soon", "resource": SEARCH},
        {"access_token": "canary", "expires_in": "60"},
        {"error_description": "canary"},
    )
    for answer in answers:
        there.host.fail(IMDS_PATH, json_answer(200, answer))
        assert "canary" not in await refused(host)
    assert "canary" not in caplog.text
    assert not logging.getLogger("azure.identity").isEnabledFor(logging.WARNING)


async def test_a_proxy_of_the_environment_sees_nothing(there: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, {**there.host.imds_environment, "HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://x"})
    assert (await there.of_host().token(SEARCH_SCOPE, "")).secret


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    there: Tenant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put(monkeypatch, {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": GATEWAY_APP, "AZURE_CLIENT_SECRET": APP_SECRET})
    (tmp_path / "other").mkdir()
    async with tenant(tmp_path / "other") as other:
        host = AzureHost(there.azure, other.tls, wall_clock)
        assert await refused(host)
    assert there.entra.ledger == []


class Names(AbstractResolver):
    """Resolves each name to the next of these addresses."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.closed = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = self.addresses.pop(0)
        return [ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        self.closed = True


async def test_an_authority_that_is_rebound_to_a_private_address_is_not_connected_to() -> None:
    names = Names("93.184.215.14", "10.0.0.1", "169.254.169.254")
    resolver = GuardedResolver("login.example", names)
    assert [found["host"] for found in await resolver.resolve("login.example", 443)] == ["93.184.215.14"]
    with pytest.raises(OSError, match="not public"):
        await resolver.resolve("login.example", 443)
    assert (await resolver.resolve("identity-endpoint", 80))[0]["host"] == "169.254.169.254"
    await resolver.close()
    assert names.closed


async def test_without_private_an_authority_on_this_machine_is_not_asked(
    there: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": GATEWAY_APP, "AZURE_CLIENT_SECRET": APP_SECRET})
    authority = there.entra.url.replace("127.0.0.1", "localhost")
    assert (await there.of_host(identity="environment", authority=authority).token(SEARCH_SCOPE, "")).secret
    before = len(there.entra.ledger)
    assert await refused(there.of_host(identity="environment", authority=authority, private=False))
    assert len(there.entra.ledger) == before


async def test_what_the_library_warns_of_is_not_logged_for_it_quotes_answers(there: Tenant) -> None:
    logging.getLogger("azure").setLevel(logging.NOTSET)
    there.of_host()
    assert logging.getLogger("azure").level == logging.CRITICAL
