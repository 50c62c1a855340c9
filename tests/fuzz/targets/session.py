"""The seal of sessions: what was not sealed for a caller on a connection opens for nobody.

A case is the sealed id, the principal and the connection, one a line.
"""

from __future__ import annotations

from mcpgov.decision import Reason
from mcpgov.endpoint.sessions import SessionSeal
from mcpgov.errors import Refusal
from tests.fuzz.target import Target

SEAL = SessionSeal(bytes(range(32)))
OWNER = ("key:alice", "city")
SEALED = {SEAL.seal(session, *OWNER): session for session in ("s-1", "s-2", "~" * 40)}
WORDS = (*SEALED, *OWNER, "key:bob", "town", "\n", "=", "==", "-", "_", "+", "/")


def judge(data: bytes) -> None:
    """One id, as presented."""
    sealed, principal, connection, *_ = [*data.decode("utf-8", "replace").split("\n"), "", "", ""]
    try:
        opened = SEAL.open(sealed, principal, connection)
    except Refusal as refusal:
        assert refusal.reason is Reason.UNKNOWN_SESSION
        assert (principal, connection) != OWNER or sealed not in SEALED, "an owner is kept out"
    else:
        assert (principal, connection) == OWNER, "a session of another"
        assert SEALED.get(sealed) == opened, "an id in another spelling"
    try:
        again = SEAL.seal(sealed, principal, connection)
    except Refusal as refusal:
        assert refusal.reason is Reason.UPSTREAM_INVALID
    else:
        assert SEAL.open(again, principal, connection) == sealed


TARGET = Target(judge, WORDS, 2048)
