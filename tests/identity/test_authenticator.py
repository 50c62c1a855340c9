"""Who settles who calls: the one authenticator that recognises the credential, and nobody beside or after it."""

import base64
from datetime import UTC, datetime
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.identity.api_key import ApiKeyAuthenticator, KeyRecord, digest, mint_key
from mcpgov.identity.authenticator import ANONYMOUS, Authentication
from mcpgov.identity.trusted_proxy import TrustedProxy
from mcpgov.models import Headers, Principal, PrincipalKind, RequestHead
from tests.identity.test_api_key import MemoryKeys, chooser

ALICE = Principal("key:alice", PrincipalKind.KEY)
BOB = Principal("key:bob", PrincipalKind.KEY)
HEADERS = ("authorization", "x-api-key")
NOW = datetime(2026, 11, 21, tzinfo=UTC)
PROXY = TrustedProxy((ip_network("10.0.0.0/24"),), "x-user", "x-forwarded-client-cert", {"a" * 64: "billing"})


class Knows:
    """Recognises one word in a header: as this principal, or as bad when there is none."""

    def __init__(self, word: str, principal: Principal | None, header: str = "x-api-key") -> None:
        self._word, self._principal, self._header = word, principal, header

    def recognises(self, head: RequestHead) -> bool:
        return head.headers.get(self._header) == self._word

    async def authenticate(self, head: RequestHead) -> Principal:
        assert self.recognises(head)
        if self._principal is None:
            raise Refusal(Reason.CREDENTIAL_REVOKED, "revoked")
        return self._principal


def head(*fields: tuple[str, str], peer: str = "127.0.0.1") -> RequestHead:
    return RequestHead("POST", "github", Headers(fields), peer, peer, NOW, "c1")


async def refusal(identity: Authentication, asked: RequestHead) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await identity.identify(asked)
    return caught.value


async def test_the_authenticator_that_recognises_the_credential_names_the_principal() -> None:
    identity = Authentication((Knows("a", ALICE), Knows("b", BOB)), HEADERS)
    assert await identity.identify(head(("x-api-key", "b"))) is BOB


async def test_a_recognised_but_bad_credential_is_never_offered_to_the_next() -> None:
    identity = Authentication((Knows("a", None),), HEADERS, allow_anonymous=True, proxy=PROXY)
    refused = await refusal(identity, head(("x-api-key", "a"), ("x-user", "ada"), peer="10.0.0.7"))
    assert refused.reason is Reason.CREDENTIAL_REVOKED


async def test_a_token_of_an_issuer_that_nobody_configured_is_told_so() -> None:
    claims = base64.urlsafe_b64encode(b'{"iss":"https://elsewhere.example"}').decode().rstrip("=")
    identity = Authentication((Knows("a", ALICE),), ("x-api-key",), allow_anonymous=True)
    refused = await refusal(identity, head(("authorization", f"Bearer e30.{claims}.x")))
    assert refused.reason is Reason.JWT_ISSUER_DENIED
    refused = await refusal(identity, head(("authorization", "Bearer e30.x.x")))
    assert refused.reason is Reason.CREDENTIAL_INVALID


async def test_two_credentials_are_ambiguous_whatever_they_are_and_in_whatever_order() -> None:
    known = (Knows("a", ALICE), Knows("Bearer t", BOB, "authorization"))
    for authenticators in (known, known[::-1], (Knows("a", ALICE), Knows("a", None))):
        identity = Authentication(authenticators, HEADERS, allow_anonymous=True)
        refused = await refusal(identity, head(("x-api-key", "a"), ("authorization", "Bearer t")))
        assert refused.reason is Reason.CREDENTIAL_AMBIGUOUS


@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
async def test_a_header_that_holds_credentials_is_sent_once_also_if_it_says_the_same(name: str) -> None:
    identity = Authentication((Knows("a", ALICE),), ("x-api-key",), allow_anonymous=True)
    other = "x-api-key" if name == "authorization" else "authorization"
    for more in ((), ((other, "a"),)):
        refused = await refusal(identity, head(*more, (name, "a"), (name, "a")))
        assert refused.reason is Reason.CREDENTIAL_AMBIGUOUS


@pytest.mark.parametrize("allow_anonymous", [True, False])
@pytest.mark.parametrize("headers", [HEADERS, ("x-api-key",)])
async def test_a_credential_that_nobody_recognises_is_refused_even_where_anonymous_is_allowed(
    *, allow_anonymous: bool, headers: tuple[str, ...]
) -> None:
    identity = Authentication((Knows("a", ALICE),), headers, allow_anonymous, PROXY)
    asked = head(("authorization", "Bearer something"), ("x-user", "ada"), peer="10.0.0.7")
    assert (await refusal(identity, asked)).reason is Reason.CREDENTIAL_INVALID


async def test_what_a_proxy_says_counts_where_the_caller_presents_nothing_itself() -> None:
    identity = Authentication((Knows("a", ALICE),), HEADERS, proxy=PROXY)
    assert (await identity.identify(head(("x-user", "ada"), peer="10.0.0.7"))).id == "proxy:user:ada"
    assert await identity.identify(head(("x-user", "ada"), ("x-api-key", "a"), peer="10.0.0.7")) is ALICE
    unlisted = ("x-forwarded-client-cert", "Hash=" + "b" * 64)
    assert await identity.identify(head(unlisted, ("x-api-key", "a"), peer="10.0.0.7")) is ALICE


async def test_who_speaks_like_the_proxy_is_refused_whatever_else_it_presents() -> None:
    identity = Authentication((Knows("a", ALICE),), HEADERS, allow_anonymous=True, proxy=PROXY)
    for more in ((), (("x-api-key", "a"),)):
        refused = await refusal(identity, head(("x-user", "root"), *more, peer="10.0.1.7"))
        assert refused.reason is Reason.CREDENTIAL_INVALID
        assert refused.detail == "x-user from 10.0.1.7, which is not in trusted_proxies"


async def test_a_caller_without_a_credential_is_told_where_to_put_one() -> None:
    refused = await refusal(Authentication((), HEADERS, proxy=PROXY), head())
    assert refused.reason is Reason.CREDENTIAL_MISSING
    assert "Authorization: Bearer KEY or x-api-key: KEY" in refused.message


async def test_a_caller_without_a_credential_is_anonymous_only_where_the_settings_say_so() -> None:
    assert await Authentication((), HEADERS, allow_anonymous=True).identify(head()) is ANONYMOUS


WORDS = st.sampled_from(["a", "anonymous", "key:a", "user:a", "certificate:a", "proxy:user:a", "a" * 64, "b" * 64])
PRESENTED = st.tuples(st.sampled_from(["key", "x-user", "x-forwarded-client-cert"]), WORDS | st.text(min_size=1))


@given(st.lists(PRESENTED, min_size=2, max_size=6, unique=True))
async def test_no_two_callers_have_the_same_id(callers: list[tuple[str, str]]) -> None:
    found: list[Principal] = [ANONYMOUS]
    for seed, (way, word) in enumerate(callers):
        key_id, key = mint_key(chooser(seed).choice)
        keys = MemoryKeys(KeyRecord(key_id, digest(key.reveal()), word, word, NOW))
        proxy = TrustedProxy(PROXY.proxies, "x-user", "x-forwarded-client-cert", {word: word})
        fields = (way, f"Hash={word}" if way != "x-user" else word.encode("utf-8", "replace").decode("latin-1"))
        presented = ("x-api-key", key.reveal()) if way == "key" else fields
        identity = Authentication((ApiKeyAuthenticator(keys, HEADERS, lambda: NOW),), HEADERS, proxy=proxy)
        try:
            found.append(await identity.identify(head(presented, peer="10.0.0.1")))
        except Refusal:
            continue
    assert len({principal.id for principal in found}) == len(found)
