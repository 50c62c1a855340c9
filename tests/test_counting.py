"""Limits are counted where the settings say, and a Redis is signed in to as they say."""

import importlib
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from mcpgov.counting import counting, redis_counters
from mcpgov.credential.cache import no_token
from mcpgov.credential.tokens import AccessToken, AzureIdentity
from mcpgov.database_tokens import REDIS, DatabaseTokens
from mcpgov.identity_settings import Azure
from mcpgov.models import Secret
from mcpgov.settings import parse_settings
from mcpgov.store.fallback_counters import FallbackCounters
from mcpgov.store.memory_counters import MemoryCounters
from mcpgov.store.signed_url import SignedUrl

NOWHERE = "redis://127.0.0.1:9"
AZURE = "11111111-1111-2222-3333-444444444444"


class Host:
    """The identity of a host that gives tokens, unless it is away."""

    def __init__(self, *, away: bool = False) -> None:
        self.away = away
        self.asked: list[str] = []

    async def token(self, scope: str, client_id: str) -> AccessToken:
        assert client_id == ""
        self.asked.append(scope)
        if self.away:
            raise no_token("away")
        return AccessToken.lasting(Secret("a-token"), 3600, datetime.now(UTC))


def tokens(host: Host) -> DatabaseTokens:
    def made(_identity: AzureIdentity, _tls: ssl.SSLContext) -> Host:
        return host

    return DatabaseTokens(Azure(tenant_id=AZURE), made, lambda: datetime.now(UTC))


def watched(seen: list[Secret]) -> Callable[[str], Any]:
    """Loads modules, and notes the URL that Redis is reached at."""

    def load(module: str) -> Any:
        loaded = importlib.import_module(module)

        def noted(url: Secret) -> Any:
            seen.append(url)
            return loaded.RedisCounters(url)

        return SimpleNamespace(RedisCounters=noted)

    return load


async def test_without_a_redis_limits_are_counted_in_memory() -> None:
    async with counting(parse_settings("{}", "m.yaml").counters, importlib.import_module) as counters:
        assert isinstance(counters, MemoryCounters)


async def test_a_local_count_stands_in_only_where_that_was_chosen() -> None:
    for chosen, alone in (("deny", False), ("local", True)):
        text = f"counters: {{ url: '{NOWHERE}', when_down: {chosen} }}"
        async with counting(parse_settings(text, "m.yaml").counters, importlib.import_module) as counters:
            assert isinstance(counters, FallbackCounters) is alone


async def test_a_redis_is_signed_in_to_with_a_token_where_the_settings_say_so() -> None:
    text = f"azure: {{ tenant_id: {AZURE} }}\ncounters: {{ url: 'redis://me@127.0.0.1:9', sign_in: entra }}"
    wanted = parse_settings(text, "m.yaml").counters
    assert wanted.url is not None
    for away in (False, True):
        seen, host = list[Secret](), Host(away=away)
        ours = tokens(host)
        async with redis_counters(wanted, wanted.url, watched(seen), ours):
            assert isinstance(seen[0], SignedUrl)
            assert host.asked == [REDIS]
        ours.close()
