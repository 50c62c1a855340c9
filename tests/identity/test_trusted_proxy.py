"""What a proxy says of callers: believed from the proxy alone, and only where it can be read in one way."""

from datetime import UTC, datetime
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.identity.trusted_proxy import TrustedProxy
from mcpgov.models import Headers, Principal, PrincipalKind, RequestHead

XFCC = "x-forwarded-client-cert"
OURS, THEIRS = "ab" * 32, "cd" * 32
PROXY = TrustedProxy((ip_network("10.0.0.0/24"), ip_network("fd00::/8")), "x-user", XFCC, {OURS: "billing"})


def head(*fields: tuple[str, str], peer: str = "10.0.0.7") -> RequestHead:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    return RequestHead("POST", "github", Headers(fields), peer, "203.0.113.9", now, "c1")


async def certified(value: str) -> Principal:
    return await PROXY.authenticate(head((XFCC, value)))


async def refusal(asked: RequestHead) -> Refusal:
    assert PROXY.recognises(asked)
    with pytest.raises(Refusal) as caught:
        await PROXY.authenticate(asked)
    return caught.value


@pytest.mark.parametrize("peer", ["10.0.0.7", "::ffff:10.0.0.7", "fd00::1"])
async def test_a_user_that_a_trusted_proxy_names_is_a_user_without_an_assertion(peer: str) -> None:
    principal = await PROXY.authenticate(head(("x-user", "ada@contoso.com"), peer=peer))
    assert (principal.id, principal.kind) == ("proxy:user:ada@contoso.com", PrincipalKind.USER)
    assert principal.name == "ada@contoso.com"
    assert principal.assertion is None


async def test_the_name_of_a_user_may_be_in_any_script() -> None:
    name = "Zürich 東京"
    principal = await PROXY.authenticate(head(("x-user", name.encode().decode("latin-1"))))
    assert (principal.id, principal.name) == (f"proxy:user:{name}", name)


@pytest.mark.parametrize("peer", ["10.0.1.7", "", "unknown", "fe80::1", "127.0.0.1"])
@pytest.mark.parametrize("field", [("x-user", "ada"), (XFCC, f"Hash={OURS}")])
async def test_nobody_but_a_trusted_proxy_is_believed(peer: str, field: tuple[str, str]) -> None:
    refused = await refusal(head(field, peer=peer))
    assert refused.reason is Reason.CREDENTIAL_INVALID
    assert "trusted_proxies" in refused.detail
    with pytest.raises(Refusal):
        PROXY.refuse_strangers(head(field, peer=peer))


def test_a_request_without_the_headers_is_nobodys_business() -> None:
    PROXY.refuse_strangers(head(("x-api-key", "k"), peer="203.0.113.9"))
    assert not PROXY.recognises(head(("x-api-key", "k")))
    assert not TrustedProxy(PROXY.proxies).recognises(head(("x-user", "ada"), ("", "ada")))


@pytest.mark.parametrize("name", ["", "x" * 241, "a\x1bb", "Zürich", "ada\u00a0"])
async def test_a_name_that_cannot_be_read_is_refused(name: str) -> None:
    assert (await refusal(head(("x-user", name)))).reason is Reason.CREDENTIAL_INVALID


@pytest.mark.parametrize(
    "fields",
    [
        (("x-user", "ada"), ("x-user", "bob")),
        (("x-user", "ada"), ("x-user", "ada")),
        ((XFCC, f"Hash={OURS}"), (XFCC, f"Hash={OURS}")),
        (("x-user", "ada"), (XFCC, f"Hash={OURS}")),
    ],
)
async def test_a_proxy_that_vouches_twice_is_ambiguous(fields: tuple[tuple[str, str], ...]) -> None:
    assert (await refusal(head(*fields))).reason is Reason.CREDENTIAL_AMBIGUOUS


@pytest.mark.parametrize(
    "value",
    [
        f"Hash={OURS}",
        f"hash={OURS.upper()}",
        f'Hash="{OURS}"',
        f'By=spiffe://contoso/gateway;Hash={OURS};Subject="CN=a, O=\\"b;c\\"";URI=spiffe://contoso/a;DNS=a;DNS=b',
        f"Hash={THEIRS},By=x;Hash={OURS}",
        f'Subject="x,Hash={THEIRS}", Hash={OURS}',
        f"Hash={OURS};URI=",
    ],
)
async def test_a_listed_certificate_is_the_app_that_it_is_listed_as(value: str) -> None:
    principal = await certified(value)
    assert (principal.id, principal.kind) == (f"certificate:{OURS}", PrincipalKind.APP)
    assert (principal.name, principal.credential) == ("billing", f"certificate:{OURS}")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (f"Hash={OURS},Hash={THEIRS}", "not listed"),  # only the last one is of our proxy
        (f"Hash={OURS};Hash={OURS}", "not exactly one Hash"),
        (f"Hash={OURS},By=x", "not exactly one Hash"),
        (f"Hash={OURS[:-1]}", "not exactly one Hash"),
        (f'Subject=";Hash={OURS}"', "not exactly one Hash"),
        ("", "cannot be read"),
        (OURS, "cannot be read"),
        (f"Hash={OURS},", "cannot be read"),
        (f"Hash={OURS};", "cannot be read"),
        (f'Subject="a;Hash={OURS}', "cannot be read"),
        (f'Subject=a";Hash={OURS}', "cannot be read"),
        (f'Subject="a"b;Hash={OURS}', "cannot be read"),
        (f'Subject="a\\";Hash={OURS}', "cannot be read"),  # the backslash makes the quote a part of the value
        (f'Subject="a\\n";Hash={OURS}', "cannot be read"),
        (f"Subject=CN=a;Hash={OURS}", "cannot be read"),
        (f'"Hash={OURS}"', "cannot be read"),
    ],
)
async def test_a_header_that_two_could_read_differently_or_of_another_certificate_is_refused(
    value: str, why: str
) -> None:
    refused = await refusal(head((XFCC, value)))
    assert refused.reason is Reason.CREDENTIAL_INVALID
    assert why in refused.detail
    assert OURS not in refused.message


@given(st.text(st.sampled_from(f'Hash=,;" \\{OURS[:2]}'), max_size=60))
async def test_nothing_that_a_caller_can_quote_makes_it_another_app(subject: str) -> None:
    quoted = subject.replace("\\", "").replace('"', '\\"')
    with pytest.raises(Refusal, match="not believed"):
        await certified(f'Hash={THEIRS};Subject="{quoted}"')
    assert (await certified(f'Hash={OURS};Subject="{quoted}"')).name == "billing"
