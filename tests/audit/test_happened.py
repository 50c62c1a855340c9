"""Who did something to the gateway, and to what, as its record says."""

from typing import TYPE_CHECKING

import pytest

from mcpgov.audit.happened import details, which, who

if TYPE_CHECKING:
    from mcpgov.models import Json


def record(**said: "Json") -> dict[str, "Json"]:
    named = {f"mcpgov.control.{name}": value for name, value in said.items()}
    return {"event": "control", "ts": "2026-11-20T12:00:00.000000Z", "mcpgov.control.event": "e", **named}


@pytest.mark.parametrize(
    ("said", "person", "thing"),
    [
        ({"key": "k1", "name": "ci", "principal": "local:alice"}, "local:alice", "ci"),
        ({"admin": "admin:a1", "name": "dana", "what": "console"}, "dana", None),
        ({"export": "siem", "error": "refused"}, None, "siem"),
        ({"sink": "/mnt/b.db", "why": "locked"}, None, "/mnt/b.db"),
        ({"old": "1", "new": "2", "owner": "root"}, "root", None),
        ({"connection": "city", "principal": "entra:t:u"}, "entra:t:u", "city"),
        ({"api_center": "tools", "principal": "local:dana"}, "local:dana", "tools"),
        ({}, None, None),
    ],
)
def test_a_record_says_who_and_which(said: dict[str, "Json"], person: str | None, thing: str | None) -> None:
    assert (who(record(**said)), which(record(**said))) == (person, thing)


def test_what_is_told_elsewhere_is_no_detail() -> None:
    assert details(record(key="k1", name="ci", principal="local:alice")) == {"key": "k1", "name": "ci"}
    assert details(record(admin="admin:a1", name="dana", what="console")) == {"admin": "admin:a1", "what": "console"}
    assert details({"event": "unreadable"}) == {}
