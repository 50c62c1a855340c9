"""Which trace a call belongs to: the caller's where it is well formed, else one under our correlation id."""

import pytest

from mcpgov.models import Headers, Json
from mcpgov.trace_context import Claims, TraceContext, claims_of, context_of, span_id_of, trace_context
from tests.audit.calls import head, request

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CLAIM = f"00-{TRACE}-{PARENT}-01"
OTHER = f"00-{'4bf92f35' * 4}-00f067aa0ba902b7-00"
CORRELATION = "3fa9c1d27b60f1e2aa07c1d5e8f90b34"
MALFORMED = (
    "",
    "00",
    CLAIM.upper(),
    CLAIM[:-1],
    f"{CLAIM}0",
    f"{CLAIM}-more",  # version 00 ends there
    f" {CLAIM}",
    f"ff{CLAIM[2:]}",
    f"00-{'0' * 32}-{PARENT}-01",
    f"00-{TRACE}-{'0' * 16}-01",
    f"00-{TRACE}-{PARENT}-0g",
    f"01-{TRACE}-{PARENT}-01more",
    f"{CLAIM}\n",
)


def in_head(*values: str) -> Headers:
    return Headers(tuple(("traceparent", value) for value in values))


@pytest.mark.parametrize("claim", MALFORMED)
def test_a_malformed_claim_is_passed_over_and_said_to_be(claim: str) -> None:
    assert claims_of(Headers(()), claim) == Claims("", (f"_meta, malformed: {claim}",))
    assert trace_context(CORRELATION, claim) == TraceContext(CORRELATION, span_id_of(CORRELATION))
    followed = claims_of(in_head(CLAIM), claim)
    assert (followed.followed, len(followed.ignored)) == (CLAIM, 1)


@pytest.mark.parametrize(("claim", "said"), [(7, "int"), ({"a": 1}, "dict"), ([CLAIM], "list"), (True, "bool")])
def test_a_claim_that_is_no_text_is_named_by_its_type(claim: Json, said: str) -> None:
    assert claims_of(Headers(()), claim) == Claims("", (f"_meta, malformed: {said}",))


def test_the_message_comes_before_the_head_whose_claim_is_kept() -> None:
    assert claims_of(in_head(OTHER), CLAIM) == Claims(CLAIM, (f"header, overruled: {OTHER}",))
    assert claims_of(in_head(CLAIM), CLAIM) == Claims(CLAIM)
    assert claims_of(in_head(f" {CLAIM}\t")) == Claims(CLAIM)
    assert claims_of(Headers(())) == Claims()


def test_two_headers_claim_nothing() -> None:
    assert claims_of(in_head(CLAIM, CLAIM)) == Claims("", (f"header, malformed: {CLAIM}, {CLAIM}",))


def test_without_a_claim_the_correlation_id_is_the_trace_and_leads_to_the_span() -> None:
    ours = trace_context(CORRELATION)
    assert (ours.trace_id, ours.span_id, ours.parent_span_id, ours.sampled) == (CORRELATION, CORRELATION[:16], "", True)
    assert ours.traceparent == f"00-{CORRELATION}-{CORRELATION[:16]}-01"


def test_a_claim_is_followed_with_our_span_in_between() -> None:
    ours = trace_context(CORRELATION, CLAIM)
    assert (ours.trace_id, ours.parent_span_id) == (TRACE, PARENT)
    assert ours.traceparent == f"00-{TRACE}-{CORRELATION[:16]}-01"


@pytest.mark.parametrize(("flags", "kept"), [("00", "00"), ("01", "01"), ("03", "03"), ("02", "02"), ("fd", "01")])
def test_the_flags_that_are_known_are_the_callers(flags: str, kept: str) -> None:
    ours = trace_context(CORRELATION, CLAIM[:-2] + flags)
    assert ours.traceparent.endswith(f"-{kept}")
    assert ours.sampled is (int(kept, 16) % 2 == 1)


def test_of_a_later_version_what_is_known_is_followed() -> None:
    for claim in (f"01{CLAIM[2:]}", f"cc{CLAIM[2:]}-what-comes"):
        assert trace_context(CORRELATION, claim).trace_id == TRACE
        assert trace_context(CORRELATION, claim).traceparent.startswith("00-")


def test_a_call_is_placed_by_its_request_or_else_by_its_head() -> None:
    about = head(CORRELATION)
    assert context_of(about, request(traceparent=CLAIM, about=about)).trace_id == TRACE
    assert context_of(about, request(about=about)).trace_id == CORRELATION
    assert context_of(about, None).trace_id == CORRELATION
