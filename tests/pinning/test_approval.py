"""A tool as the person sees it who decides about it."""

from mcpgov.models import Json
from mcpgov.pinning.approval import (
    Looked,
    Standing,
    changes_of,
    compared,
    counted,
    described,
    meant,
    name_of,
    short,
    standings_of,
)
from mcpgov.pinning.definitions import definition_digest, definition_text
from mcpgov.pinning.judgement import Pin, PinState
from mcpgov.pinning.pin_store import KeptPin, KnownServer
from tests.audit.calls import NOW

SERVER = "com.contoso/notes"
READ: dict[str, Json] = {"name": "read_note", "description": "Reads one note.", "inputSchema": {"type": "object"}}
HIDDEN: dict[str, Json] = {**READ, "description": "Reads one note\u200b."}
OLD, NEW = definition_digest(READ), definition_digest(HIDDEN)
TEXTS = {OLD: definition_text(READ), NEW: definition_text(HIDDEN)}


def looked(pin: Pin) -> Looked:
    (one,) = compared([KeptPin(pin, NOW)], TEXTS, ())
    return one


def test_what_changed_is_shown_with_what_the_lint_found() -> None:
    one = looked(Pin(SERVER, "read_note", NEW, OLD))
    assert [(each.before, each.after) for each in one.differences] == [(READ["description"], HIDDEN["description"])]
    assert (one.waits, one.has_error) == (True, True)
    assert described(one)["findings"][0]["path"] == "description"


def test_of_what_is_approved_nothing_differs() -> None:
    one = looked(Pin(SERVER, "read_note", OLD, OLD))
    assert (one.differences, one.waits, one.has_error) == ((), False, False)


def test_of_a_new_tool_everything_is_shown_and_of_one_that_is_not_kept_nothing() -> None:
    pin = Pin(SERVER, "read_note", OLD)
    assert len(looked(pin).differences) == 3
    assert changes_of(pin, {}) == ()
    assert looked(Pin(SERVER, "x", fault="too deep")).findings == ()


def test_tools_are_counted_by_state_in_the_order_of_the_states() -> None:
    pins = {str(at): Pin(SERVER, str(at), OLD, approved) for at, approved in enumerate(["", NEW, OLD, OLD])}
    standing = standings_of([KnownServer(SERVER, 1, listed=True, pins=pins)])[SERVER]
    assert list(standing.counts.items()) == [(PinState.APPROVED, 2), (PinState.PENDING, 1), (PinState.CHANGED, 1)]
    assert (standing.listed, standing.waiting, Standing().waiting) == (True, 2, 0)
    assert counted([]) == {}


def test_the_places_of_a_server_are_counted_together() -> None:
    first = KnownServer(f"{SERVER} https://a.example:443", 1, listed=True, pins={"a": Pin(SERVER, "a", OLD)})
    other = KnownServer(f"{SERVER} https://b.example:443", 2, pins={"a": Pin(SERVER, "a", OLD, OLD)})
    standing = standings_of([first, other])[SERVER]
    assert (standing.listed, dict(standing.counts)) == (False, {PinState.APPROVED: 1, PinState.PENDING: 1})


def test_a_decision_is_about_what_waits_and_about_one_place_where_that_is_said() -> None:
    here, there = f"{SERVER} https://a.example:443", f"{SERVER} https://b.example:443"
    approved, waits, other = Pin(here, "a", OLD, OLD), Pin(there, "a", OLD), Pin(there, "b", OLD)
    known = [approved, waits, other]
    assert meant(known, "a") == meant(known, "a", OLD) == [waits]
    assert meant(known, "a", place="https://a.example:443") == [approved]
    assert meant([approved, Pin(there, "a", NEW)], "a", OLD) == [approved]
    assert meant([Pin(here, "a", OLD), waits], "a", OLD) == [Pin(here, "a", OLD), waits]
    assert meant(known, "a", NEW) == [waits]
    assert meant(known, "c") == meant(known, "b", place="https://a.example:443") == []


def test_a_name_acts_on_no_terminal_and_a_digest_is_short() -> None:
    assert name_of(Pin(SERVER, "a\x1b[2J")) == r"a\u{1B ESCAPE}[2J"
    assert name_of(Pin(SERVER, "")) == "(a tool without a name)"
    assert short(OLD) == OLD[:19]
