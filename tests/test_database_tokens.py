"""A token for databases is there before it is needed, is renewed before it ends, and outlives its source a while."""

import ssl
import threading
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta

import pytest

from mcpgov.credential.cache import no_token
from mcpgov.credential.tokens import AccessToken, AzureIdentity
from mcpgov.database_tokens import POSTGRES, REDIS, RETRY, DatabaseTokens, KeptToken, database_tokens
from mcpgov.errors import StoreUnavailable
from mcpgov.identity_settings import Azure
from mcpgov.models import Secret

START = datetime(2026, 11, 22, tzinfo=UTC)
LIFE = 3600
TRIES = 2_000_000


class Source:
    """Gives token-1, token-2 and so on, unless it is away; and the clock."""

    def __init__(self) -> None:
        self.now = START
        self.away = False
        self.given = 0
        self.asked = threading.Semaphore(0)
        self.token = KeptToken(self.fetch, lambda: self.now, look=0.001)

    async def fetch(self) -> AccessToken:
        self.asked.release()
        if self.away:
            raise no_token("managed identity: not answered in time")
        self.given += 1
        return AccessToken.lasting(Secret(f"token-{self.given}"), LIFE, self.now)

    def later(self, seconds: float) -> None:
        """So many seconds pass."""
        self.now += timedelta(seconds=seconds)

    def until(self, said: Callable[[], bool]) -> None:
        """Return once something is so."""
        for _ in range(TRIES):
            if said():
                return
        pytest.fail("it never was")


def refusal(source: Source) -> str:
    """Why there is no token."""
    with pytest.raises(StoreUnavailable) as refused:
        source.token.current()
    return str(refused.value)


def shown(source: Source) -> Secret | None:
    """The token, if there is one: what was given a moment ago may not have been kept yet."""
    try:
        return source.token.current()
    except StoreUnavailable:
        return None


@pytest.fixture
def source() -> Generator[Source]:
    made = Source()
    yield made
    made.token.close()


def test_the_first_is_waited_for_and_then_nobody_waits(source: Source) -> None:
    assert source.token.first() == source.token.current() == Secret("token-1")
    assert source.given == 1


def test_it_is_renewed_at_half_of_its_life_without_anybody_asking(source: Source) -> None:
    source.token.first()
    source.later(LIFE / 2)
    source.until(lambda: source.token.current() == Secret("token-2"))
    assert source.given == 2


def test_while_its_source_is_away_the_last_one_is_shown_as_long_as_it_holds(source: Source) -> None:
    source.token.first()
    source.away = True
    source.later(LIFE - 1)
    for _ in range(2):
        assert source.asked.acquire(timeout=60)
    assert source.token.current() == Secret("token-1")
    source.later(1)
    source.until(lambda: refusal(source) == "there is no token to sign in with: managed identity: not answered in time")
    source.away = False
    source.later(RETRY)
    source.until(lambda: source.given == 2 and shown(source) == Secret("token-2"))


def test_a_source_that_failed_is_not_asked_again_at_once(source: Source) -> None:
    source.away = True
    with pytest.raises(StoreUnavailable):
        source.token.first()
    assert source.asked.acquire(timeout=60)
    for _ in range(100):
        with pytest.raises(StoreUnavailable):
            source.token.current()
    assert not source.asked.acquire(blocking=False)
    source.later(RETRY)
    assert source.asked.acquire(timeout=60)


def test_after_its_end_nothing_is_renewed(source: Source) -> None:
    source.token.first()
    source.token.close()
    source.later(LIFE / 2)
    assert source.token.current() == Secret("token-1")
    assert source.given == 1


def test_each_database_has_a_token_of_its_own_by_the_identity_that_is_named() -> None:
    asked: list[tuple[str, str, str]] = []

    class Host:
        def __init__(self, identity: AzureIdentity) -> None:
            self.identity = identity

        async def token(self, scope: str, client_id: str) -> AccessToken:
            asked.append((self.identity.identity, scope, client_id))
            return AccessToken.lasting(Secret(scope), LIFE, START)

    def host(identity: AzureIdentity, _tls: ssl.SSLContext) -> Host:
        return Host(identity)

    client = "22222222-1111-2222-3333-444444444444"
    azure = Azure(tenant_id="11111111-1111-2222-3333-444444444444", managed_identity=client)
    tokens = DatabaseTokens(azure, host, lambda: START)
    assert [tokens.of(scope).first().reveal() for scope in (POSTGRES, REDIS, POSTGRES)] == [POSTGRES, REDIS, POSTGRES]
    assert asked == [("managed", POSTGRES, client), ("managed", REDIS, client)]
    tokens.close()
    assert database_tokens(None, host, lambda: START) is None
