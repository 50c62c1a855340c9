"""A tool shows and is called while its definition is the one that was approved, and at no other time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Reason
from mcpgov.errors import HIDING, Refusal
from mcpgov.pinning.definitions import MAX_TOOLS, TWICE, definition_digest, definition_text
from mcpgov.pinning.judgement import (
    MAX_KEPT,
    MAX_PINS,
    Judgement,
    Pin,
    PinChange,
    PinnedServer,
    PinState,
    approve,
    reject,
)
from mcpgov.pinning.mode import PinMode
from tests.catalog.listed_tools import SERVERS

if TYPE_CHECKING:
    from mcpgov.models import Json

NAME = "com.contoso/github"
ECHO: dict[str, Json] = {"name": "echo", "inputSchema": {"type": "object"}}
CHANGED: dict[str, Json] = {**ECHO, "description": "Echoes."}
OTHER: dict[str, Json] = {"name": "other", "inputSchema": {"type": "object"}}
OLD, NEW = definition_digest(ECHO), definition_digest(CHANGED)


def server(mode: PinMode = PinMode.REQUIRE, *pins: Pin, first_sight: bool = False) -> PinnedServer:
    return PinnedServer(NAME, mode, {pin.tool: pin for pin in pins}, first_sight)


def after(one: PinnedServer, *tools: Json) -> PinnedServer:
    """The server as it is known once `tools` were listed and judged."""
    judgement = one.judge(tools)
    return replace(one, pins={**one.pins, **{pin.tool: pin for pin in judgement.pins}}, first_sight=False)


def states(judgement: Judgement) -> list[tuple[str, PinState]]:
    return [(verdict.tool, verdict.state) for verdict in judgement.hidden]


def reason_of_call(one: PinnedServer, tool: str) -> Reason | None:
    refusal = one.refusal_of_call(tool)
    return refusal and refusal.reason


APPROVED = Pin(NAME, "echo", OLD, approved=OLD)


def test_under_require_what_is_new_waits() -> None:
    judgement = server(first_sight=True).judge([ECHO, OTHER])
    assert judgement.shown == ()
    assert states(judgement) == [("echo", PinState.PENDING), ("other", PinState.PENDING)]
    assert judgement.pins[0] == Pin(NAME, "echo", OLD)
    assert judgement.changes[0] == PinChange(NAME, "echo", PinState.PENDING, new=OLD)
    assert judgement.definitions[OLD] == definition_text(ECHO)


def test_at_first_sight_what_is_listed_is_trusted() -> None:
    judgement = server(PinMode.TRUST_ON_FIRST_USE, first_sight=True).judge([ECHO])
    assert (judgement.shown, judgement.hidden, judgement.pins) == ((0,), (), (APPROVED,))
    assert judgement.changes == (PinChange(NAME, "echo", PinState.APPROVED, new=OLD),)


def test_what_comes_after_the_first_sight_waits() -> None:
    seen = after(server(PinMode.TRUST_ON_FIRST_USE, first_sight=True), ECHO)
    judgement = seen.judge([ECHO, OTHER])
    assert judgement.shown == (0,)
    assert states(judgement) == [("other", PinState.PENDING)]


def test_later_pages_of_the_first_list_are_trusted_too() -> None:
    first = server(PinMode.TRUST_ON_FIRST_USE, first_sight=True)
    second = replace(after(first, ECHO), first_sight=True)
    assert second.judge([OTHER]).shown == (0,)
    assert second.judge([CHANGED]).shown == ()


def test_what_the_lint_finds_an_error_in_is_not_trusted_at_first_sight() -> None:
    hidden: Json = {**ECHO, "description": "Echoes.\u200b"}
    judgement = server(PinMode.TRUST_ON_FIRST_USE, first_sight=True).judge([hidden, OTHER])
    (verdict,) = judgement.hidden
    assert (judgement.shown, verdict.state) == ((1,), PinState.PENDING)
    assert verdict.why.startswith("not trusted at first sight: hidden characters")
    assert "\u200b" not in verdict.why
    assert judgement.changes[0].why == verdict.why


def test_off_looks_at_nothing() -> None:
    off = server(PinMode.OFF)
    assert off.judge([ECHO, ECHO, 7]) == Judgement((0, 1, 2))
    assert off.refusal_of_call("whatever") is None


@pytest.mark.parametrize("mode", [PinMode.REQUIRE, PinMode.TRUST_ON_FIRST_USE])
def test_an_approved_tool_shows_and_leaves_nothing_to_write(mode: PinMode) -> None:
    one = server(mode, APPROVED)
    assert one.judge([ECHO]) == Judgement((0,))
    assert one.refusal_of_call("echo") is None


@pytest.mark.parametrize("mode", [PinMode.REQUIRE, PinMode.TRUST_ON_FIRST_USE])
def test_a_changed_tool_is_hidden_and_both_digests_are_recorded(mode: PinMode) -> None:
    one = server(mode, APPROVED)
    judgement = one.judge([CHANGED, OTHER])
    assert judgement.changes[0] == PinChange(NAME, "echo", PinState.CHANGED, OLD, NEW)
    assert (judgement.hidden[0].digest, judgement.hidden[0].approved) == (NEW, OLD)
    assert judgement.shown == ()
    refusal = after(one, CHANGED).refusal_of_call("echo")
    assert refusal is not None
    assert (refusal.reason, refusal.message) == (Reason.TOOL_CHANGED, "Unknown tool: echo")
    assert OLD in refusal.detail
    assert NEW in refusal.detail


def test_a_change_is_recorded_once_and_hidden_every_time() -> None:
    one = after(server(PinMode.REQUIRE, APPROVED), CHANGED)
    again = one.judge([CHANGED])
    assert (again.pins, again.changes, again.definitions) == ((), (), {})
    assert states(again) == [("echo", PinState.CHANGED)]


def test_a_tool_that_goes_and_comes_back_unchanged_stays_approved() -> None:
    gone = after(server(PinMode.REQUIRE, APPROVED), OTHER)
    assert gone.refusal_of_call("echo") is None
    assert 0 in gone.judge([ECHO]).shown


def test_a_tool_that_changes_back_is_approved_again_and_that_is_recorded() -> None:
    changed = after(server(PinMode.REQUIRE, APPROVED), CHANGED)
    judgement = changed.judge([ECHO])
    assert judgement.shown == (0,)
    assert judgement.changes == (PinChange(NAME, "echo", PinState.APPROVED, NEW, OLD),)
    assert after(changed, ECHO).refusal_of_call("echo") is None


def test_a_tool_that_changes_before_anyone_looked_keeps_waiting() -> None:
    waiting = after(server(), ECHO)
    judgement = waiting.judge([CHANGED])
    assert judgement.changes == (PinChange(NAME, "echo", PinState.PENDING, OLD, NEW),)
    assert reason_of_call(after(waiting, CHANGED), "echo") is Reason.TOOL_UNAPPROVED


def test_approving_lets_exactly_the_definition_through_that_was_shown() -> None:
    waiting = after(server(), ECHO).pins["echo"]
    approved = approve(waiting, OLD)
    assert approved == APPROVED
    with pytest.raises(ValueError, match="another definition by now"):
        approve(replace(waiting, digest=NEW), OLD)


def test_approving_a_change_ends_the_approval_of_what_was_before() -> None:
    approved = approve(replace(APPROVED, digest=NEW), NEW)
    assert server(PinMode.REQUIRE, approved).judge([CHANGED]).shown == (0,)
    assert server(PinMode.REQUIRE, approved).judge([ECHO]).changes[0].state is PinState.CHANGED


def test_a_rejected_change_stays_hidden_and_the_approved_definition_may_come_back() -> None:
    rejected = reject(replace(APPROVED, digest=NEW), NEW)
    one = server(PinMode.REQUIRE, rejected)
    assert states(one.judge([CHANGED])) == [("echo", PinState.REJECTED)]
    assert reason_of_call(one, "echo") is Reason.TOOL_CHANGED
    assert one.judge([ECHO]).shown == (0,)


def test_rejecting_what_is_approved_takes_the_approval_back() -> None:
    rejected = reject(APPROVED, OLD)
    one = server(PinMode.REQUIRE, rejected)
    assert (rejected.state, rejected.approved) == (PinState.REJECTED, "")
    assert one.judge([ECHO]).shown == ()
    assert reason_of_call(one, "echo") is Reason.TOOL_UNAPPROVED
    assert approve(rejected, OLD) == APPROVED


def test_approving_something_else_does_not_forget_what_was_rejected() -> None:
    assert approve(Pin(NAME, "echo", OLD, rejected=NEW), OLD).rejected == NEW


def test_two_tools_with_one_name_are_both_hidden_and_neither_can_be_called_or_approved() -> None:
    one = server(PinMode.TRUST_ON_FIRST_USE, APPROVED, first_sight=True)
    judgement = one.judge([ECHO, OTHER, ECHO])
    assert judgement.shown == (1,)
    assert states(judgement) == [("echo", PinState.UNFIT)] * 2
    assert [change.why for change in judgement.changes] == [TWICE, ""]
    twice = after(one, ECHO, OTHER, ECHO)
    assert reason_of_call(twice, "echo") is Reason.TOOL_CHANGED
    with pytest.raises(ValueError, match="cannot be pinned"):
        approve(twice.pins["echo"], "")
    assert twice.judge([ECHO]).shown == (0,)


@pytest.mark.parametrize("tool", [7, {"title": "x"}, {"name": "echo\ud800"}, {"name": "x" * 200}])
def test_a_tool_without_a_usable_name_is_hidden_and_recorded_once(tool: Json) -> None:
    one = server()
    judgement = one.judge([tool, tool, ECHO])
    assert states(judgement) == [("", PinState.UNFIT), ("", PinState.UNFIT), ("echo", PinState.PENDING)]
    assert [change.tool for change in judgement.changes] == ["", "echo"]
    assert after(one, tool).judge([tool]).changes == ()
    assert reason_of_call(after(one, tool), "") is Reason.TOOL_UNAPPROVED


def test_a_definition_past_the_bounds_hides_one_tool_and_says_why() -> None:
    deep: Json = {}
    for _ in range(10_000):
        deep = {"items": deep}
    judgement = server(PinMode.REQUIRE, Pin(NAME, "other", definition_digest(OTHER), definition_digest(OTHER))).judge(
        [
            {**ECHO, "inputSchema": deep},
            OTHER,
        ]
    )
    assert judgement.shown == (1,)
    assert judgement.hidden[0].state is PinState.UNFIT
    assert "Nested deeper" in judgement.hidden[0].why


def test_a_list_past_the_bounds_is_refused_whole() -> None:
    tools = cast("list[Json]", [{"name": f"a{number}"} for number in range(MAX_TOOLS + 1)])
    with pytest.raises(Refusal) as caught:
        server().judge(tools)
    assert caught.value.reason is Reason.UPSTREAM_TOO_LARGE


def test_a_server_that_lists_other_names_each_time_fills_no_store() -> None:
    one = server()
    for turn in range(3):
        one = after(one, *cast("list[Json]", [{"name": f"a{turn}-{number}"} for number in range(4_000)]))
    assert len(one.pins) == MAX_PINS
    judgement = one.judge([ECHO])
    assert (judgement.shown, judgement.pins) == ((), ())
    assert judgement.hidden[0].why.startswith("the server has listed")
    assert reason_of_call(one, "echo") is Reason.TOOL_UNAPPROVED


def test_past_so_many_characters_no_definition_is_kept_of_a_server() -> None:
    size = len(definition_text(CHANGED))
    full = replace(server(PinMode.TRUST_ON_FIRST_USE, APPROVED, first_sight=True), kept=MAX_KEPT - size)
    assert full.judge([CHANGED]).definitions == {NEW: definition_text(CHANGED)}
    judgement = full.judge([CHANGED, OTHER, ECHO | {"name": "third"}])
    assert set(judgement.definitions) == {NEW}
    assert (judgement.shown, states(judgement)) == (
        (),
        [("echo", PinState.CHANGED), ("other", PinState.UNFIT), ("third", PinState.UNFIT)],
    )
    assert judgement.hidden[1].why.startswith("the definitions of the server have")
    full = after(replace(full, kept=MAX_KEPT), CHANGED)
    assert full.pins["echo"].state is PinState.UNFIT
    assert reason_of_call(full, "echo") is Reason.TOOL_CHANGED
    assert full.judge([ECHO]).shown == (0,)  # what is approved is kept already
    assert full.judge([CHANGED]).pins == ()


def test_what_was_never_listed_is_not_called() -> None:
    assert reason_of_call(server(PinMode.TRUST_ON_FIRST_USE, first_sight=True), "echo") is Reason.TOOL_UNAPPROVED
    assert reason_of_call(server(PinMode.REQUIRE, APPROVED), "echo2") is Reason.TOOL_UNAPPROVED
    assert reason_of_call(server(PinMode.REQUIRE, APPROVED), "Echo") is Reason.TOOL_UNAPPROVED


def test_the_reasons_are_those_that_an_unknown_tool_is_answered_for() -> None:
    assert {Reason.TOOL_CHANGED, Reason.TOOL_UNAPPROVED} < HIDING


VERSIONS = (ECHO, CHANGED, {**ECHO, "title": "Echo"})


@given(st.lists(st.sampled_from(["list 0", "list 1", "list 2", "approve", "reject"]), max_size=20))
def test_whatever_happens_only_the_approved_definition_shows_and_a_call_agrees_with_the_list(steps: list[str]) -> None:
    one, wanted, listed = server(), "", ""
    for step in steps:
        verb, _, number = step.partition(" ")
        if verb == "list":
            tool = VERSIONS[int(number)]
            listed = definition_digest(tool)
            shown = one.judge([tool]).shown
            one = after(one, tool)
            assert (shown == (0,)) == (listed == wanted)
        elif listed:
            decided = approve if verb == "approve" else reject
            one = replace(one, pins={"echo": decided(one.pins["echo"], listed)})
            wanted = listed if verb == "approve" else "" if wanted == listed else wanted
        assert (one.refusal_of_call("echo") is None) == bool(wanted and listed == wanted)


def test_every_tool_of_real_servers_is_trusted_at_first_sight() -> None:
    for tools in SERVERS.values():
        judgement = server(PinMode.TRUST_ON_FIRST_USE, first_sight=True).judge(tools)
        assert judgement.hidden == ()
