"""The generation as a request at /mcp sees it: the gateway itself is a connection without a name, bounded by nobody."""

import pytest

from mcpgov.aggregate.snapshot import with_aggregate
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import CallerScope, Principal, PrincipalKind, RemoteUpstream
from mcpgov.pinning.mode import PinMode
from mcpgov.policy.compiled import compile_policy
from mcpgov.settings import Settings
from mcpgov.snapshot import Snapshot
from tests.upstream.calls import to

NOBODY = Principal("n", PrincipalKind.KEY, scope=CallerScope((), ("x",)))
ANYBODY = Principal("a", PrincipalKind.KEY)
BASE = Snapshot(
    "stamp", {"a": to("https://a.contoso-mcp.net/mcp", name="a")}, {"a": compile_policy((), (), (), {})}, Settings()
)


def nothing() -> None:
    """The verdict on a request that may go on."""


def test_the_gateway_itself_is_there_for_everybody_with_no_policy() -> None:
    seen = with_aggregate(BASE, nothing)
    own = seen.connection("", NOBODY)
    assert (own.name, own.upstream) == ("", RemoteUpstream("http://127.0.0.1:8080/mcp"))
    assert own.pin is PinMode.OFF  # its members' tools are pinned; this list is another for each caller
    policy = seen.policy("")
    assert policy.bounded_by(NOBODY.scope) is policy
    assert policy.is_empty


def test_the_connections_are_those_of_the_generation() -> None:
    seen = with_aggregate(BASE, nothing)
    assert (seen.stamp, seen.connection("a", ANYBODY)) == ("stamp", BASE.connections["a"])
    assert seen.policy("a") is BASE.policies["a"]
    with pytest.raises(Refusal) as refused:
        seen.connection("a", NOBODY)
    assert refused.value.reason is Reason.CONNECTION_DENIED


def test_the_verdict_comes_before_everything() -> None:
    def judge() -> None:
        raise Refusal(Reason.TOOL_HIDDEN, "no")

    with pytest.raises(Refusal) as refused:
        with_aggregate(BASE, judge).connection("a", ANYBODY)
    assert refused.value.reason is Reason.TOOL_HIDDEN
