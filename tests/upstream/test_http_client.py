"""The seam's refusals: each failure has one reason, and none tells where the upstream is."""

from mcpgov.decision import Reason
from mcpgov.upstream.http_client import address_denied, broke_off, invalid, timed_out, unreachable


def test_each_failure_has_its_reason() -> None:
    made = (timed_out(), address_denied("x"), unreachable("x"), invalid("x"), broke_off("x"))
    assert [(refusal.reason, refusal.detail) for refusal in made] == [
        (Reason.UPSTREAM_TIMEOUT, ""),
        (Reason.UPSTREAM_ADDRESS_DENIED, "x"),
        (Reason.UPSTREAM_UNREACHABLE, "x"),
        (Reason.UPSTREAM_INVALID, "x"),
        (Reason.UPSTREAM_RESET, "x"),
    ]
