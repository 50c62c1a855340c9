"""A gateway without a password: PostgreSQL and Redis know it by tokens of its managed identity, which are renewed.

A real PostgreSQL and a real Redis let in whoever brings the last token that the identity of the host was given, and
nobody who brings an earlier one.
"""

import asyncio
import base64
import json
import secrets
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mcpgov.identity.api_key import mint_key
from mcpgov.models import Secret
from tests.aggregate.houses import entry
from tests.faults.tools import left_out
from tests.flows.house import house
from tests.flows.upstream import CityUpstream, listening
from tests.peers.azure_host import IdentityHost
from tests.peers.entra import Entra
from tests.peers.entra_tokens import MANAGED_IDENTITY, TENANT
from tests.peers.web_peer import Asked
from tests.store.postgres import PostgresServer, has_postgres, postgres_server
from tests.store.postgres_asked import ask
from tests.store.redis import RedisServer, has_redis, redis_server

KEY = base64.b64encode(bytes(range(32))).decode()
NO_KEY = mint_key(secrets.choice)[1].reveal()
POLICY = "inbound: [ { rate-limit-by-key: { calls: 3, renewal-period: 300 } } ]\n"
FOR = {"https://ossrdbms-aad.database.windows.net": "postgres", "https://redis.azure.com": "redis"}


@dataclass
class Doors(IdentityHost):
    """Gives a token, and has the database that it is for let in whoever brings just this one."""

    postgres: Secret = field(default_factory=lambda: Secret(""))
    redis: RedisServer | None = None
    shown: dict[str, list[str]] = field(default_factory=lambda: {"postgres": [], "redis": []})

    def _issued(self, asked: Asked) -> dict[str, Any] | None:
        issued = super()._issued(asked)
        assert issued is not None
        assert self.redis is not None
        database, token = FOR[self.resources[-1]], issued["access_token"]
        self.shown[database].append(token)
        if database == "postgres":
            ask(self.postgres, f"ALTER ROLE mcpgov PASSWORD '{token}'")
        else:
            self.redis.ask("ACL", "SETUSER", MANAGED_IDENTITY, "reset", "on", f">{token}", "~mcpgov:*", "+@all")
        return issued


def database(server: PostgresServer) -> Secret:
    """A database of a role that has no password yet."""
    url = server.database()
    ask(url, "CREATE ROLE mcpgov LOGIN")
    name = url.reveal().rpartition("/")[2]
    ask(url, f"ALTER DATABASE {name} OWNER TO mcpgov")
    return url


async def verb(config: Path, *words: str) -> str:
    """What a verb prints, in a process of its own, which gets a token for itself."""
    command = [sys.executable, "-m", "mcpgov", *words, "--config", str(config)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    assert said, process.returncode
    return said.decode()


async def test_no_password_is_needed_for_either_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (has_postgres() and has_redis()):
        left_out("databases that are signed in to by tokens; there is no PostgreSQL or no Redis here")
        return
    upstream, folder = CityUpstream(), tmp_path / "gateway"
    folder.mkdir()
    with postgres_server() as server, redis_server(tmp_path) as redis:
        url = database(server)
        async with (
            Entra() as entra,
            Doors(entra=entra, postgres=url, redis=redis) as doors,
            listening(upstream) as there,
        ):
            for name, value in doors.imds_environment.items():
                monkeypatch.setenv(name, value)
            settings = (
                f'azure: {{ tenant_id: {TENANT} }}\nsecrets: {{ key: "{KEY}" }}\n'
                f"counters: {{ url: 'redis://{MANAGED_IDENTITY}@127.0.0.1:{redis.port}', sign_in: entra }}\n"
                "identity: { allow_anonymous: true }\n"
            )
            store = f"postgresql://mcpgov@127.0.0.1:{server.port}/{url.reveal().rpartition('/')[2]}"
            async with house(folder, settings, ", sign_in: entra", store) as gateway:
                gateway.write("policies/rules.yaml", POLICY)
                gateway.write("catalog/city.yaml", entry("city", f"{there}/mcp", "[rules]"))
                gateway.reload()
                unknown = await gateway.client(key=NO_KEY)
                assert (await unknown.call("get_city")).status == 401  # which the store was asked for
                client = await gateway.client(key="")
                assert [(await client.call("get_city")).status for _ in range(4)] == [200, 200, 200, 429]
                assert {name: len(tokens) for name, tokens in doors.shown.items()} == {"postgres": 1, "redis": 1}
                made = json.loads(await verb(folder / "mcpgov.yaml", "keys", "create", "agent", "--json"))
                assert len(doors.shown["postgres"]) == 2
                keyed = await gateway.client(key=made["key"])
                assert (await keyed.call("get_city")).status == 200  # over the connections that there are already
            assert "ok" in await verb(folder / "mcpgov.yaml", "audit", "verify")
            said = await verb(folder / "mcpgov.yaml", "doctor", "--json")
            checks = {finding["check"] for finding in json.loads(said)["findings"]}
            assert checks.isdisjoint({"store-unavailable", "redis-unavailable"})
            records = "".join(str(row[0]) for row in ask(url, "SELECT record FROM records"))
            assert not any(token in records for tokens in doors.shown.values() for token in tokens)
