"""Who settles who calls: the first authenticator that recognises the credential, and nobody after it."""

from datetime import UTC, datetime

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.identity.authenticator import ANONYMOUS, Authentication
from mcpgov.models import Headers, Principal, PrincipalKind, RequestHead

ALICE = Principal("key:alice", PrincipalKind.KEY)
BOB = Principal("key:bob", PrincipalKind.KEY)
HEADERS = ("authorization", "x-api-key")


class Knows:
    """Recognises one word in X-API-Key: as this principal, or as bad when there is none."""

    def __init__(self, word: str, principal: Principal | None) -> None:
        self._word = word
        self._principal = principal

    async def authenticate(self, head: RequestHead) -> Principal | None:
        if head.headers.get("x-api-key") != self._word:
            return None
        if self._principal is None:
            raise Refusal(Reason.CREDENTIAL_REVOKED, "revoked")
        return self._principal


def head(*fields: tuple[str, str]) -> RequestHead:
    return RequestHead("POST", "github", Headers(fields), "127.0.0.1", "127.0.0.1", datetime.now(UTC), "c1")


async def test_the_first_authenticator_that_recognises_the_credential_names_the_principal() -> None:
    identity = Authentication((Knows("a", ALICE), Knows("b", BOB), Knows("b", ALICE)), HEADERS)
    assert await identity.identify(head(("x-api-key", "b"))) is BOB


async def test_a_recognised_but_bad_credential_is_never_offered_to_the_next() -> None:
    identity = Authentication((Knows("a", None), Knows("a", ALICE)), HEADERS, allow_anonymous=True)
    with pytest.raises(Refusal, match="revoked"):
        await identity.identify(head(("x-api-key", "a")))


@pytest.mark.parametrize("allow_anonymous", [True, False])
async def test_a_credential_that_nobody_recognises_is_refused_even_where_anonymous_is_allowed(
    *,
    allow_anonymous: bool,
) -> None:
    identity = Authentication((Knows("a", ALICE),), HEADERS, allow_anonymous)
    with pytest.raises(Refusal) as caught:
        await identity.identify(head(("authorization", "Bearer something")))
    assert caught.value.reason is Reason.CREDENTIAL_INVALID


async def test_a_caller_without_a_credential_is_told_where_to_put_one() -> None:
    with pytest.raises(Refusal) as caught:
        await Authentication((), HEADERS).identify(head())
    assert caught.value.reason is Reason.CREDENTIAL_MISSING
    assert "Authorization: Bearer KEY or x-api-key: KEY" in caught.value.message


async def test_a_caller_without_a_credential_is_anonymous_only_where_the_settings_say_so() -> None:
    assert await Authentication((), HEADERS, allow_anonymous=True).identify(head()) is ANONYMOUS
