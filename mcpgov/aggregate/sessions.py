"""The sessions of clients at /mcp, HANDSHAKE era, and what is known of names: in this process's memory, and bounded.

A session holds one session with each member that was asked for something in it. Rules: its id is drawn at random and
is good for the caller that opened it; a session that nobody used for long, or that is one too many, is forgotten, and
its client starts anew (404; MCP 2025-11-25, Transports, "Session Management"). What is known of names only says where
a call goes; whether it may go there is decided there.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mcpgov.aggregate.callbacks import Letters
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpgov.messages import Exact

SESSIONS: Final = 10_000
OF_ONE: Final = 256  # of these; a caller that opens more loses its own
HELLO: Final = 32 * 1024  # bytes that a client may say of itself; they are kept for as long as its session
IDLE: Final = 1800.0  # seconds without a request
NAMES: Final = 200_000  # that are known, of all callers
USUAL: Final = 64  # characters of a name; a longer one counts as several
KNOWN_FOR: Final = 300.0  # seconds
SURE_FOR: Final = 5.0  # seconds in which a name that is not known is not looked for again


@dataclass(slots=True)
class MemberSession:
    """The session with one member: its own id, empty where it keeps none, and the version it speaks."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    opened: bool = False
    id: str = ""
    version: str = ""

    def forget(self) -> None:
        """The member no longer has it: the next request opens another."""
        self.opened, self.id = False, ""


@dataclass(slots=True)
class Session:
    """One client's session. `hello` is what it said of itself, in JSON: parsed, a few bytes may take fifteen times as
    many. `calls` says which member has which open request.
    """

    id: str
    principal: str
    version: str
    hello: bytes
    used: float
    level: str = ""  # of the log lines that the client wants
    members: dict[str, MemberSession] = field(default_factory=dict[str, MemberSession])
    calls: dict[Exact, str] = field(default_factory=dict["Exact", str])
    letters: Letters = field(default_factory=Letters)

    def member(self, name: str) -> MemberSession:
        """The session with a member, perhaps not yet opened."""
        return self.members.setdefault(name, MemberSession())


class Sessions:
    """All of them. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float], most: int = SESSIONS, of_one: int = OF_ONE) -> None:
        self._clock = clock
        self._most = most
        self._of_one = of_one
        self._open: OrderedDict[str, Session] = OrderedDict()  # the one that was used last is the last
        self._whose: dict[str, OrderedDict[str, None]] = {}  # in the same order

    def open(self, principal: str, version: str, hello: bytes) -> Session:
        """A new one, of the caller with this id."""
        session = Session(secrets.token_hex(16), principal, version, hello, self._clock())
        self._open[session.id] = session
        own = self._whose.setdefault(principal, OrderedDict())
        own[session.id] = None
        if len(own) > self._of_one:
            self.close(self._open[next(iter(own))])
        while len(self._open) > self._most or self._is_idle(next(iter(self._open.values()))):
            self.close(next(iter(self._open.values())))
        return session

    def get(self, session_id: str, principal: str) -> Session:
        """The session with this id, of this caller. Raises Refusal: invalid-message without an id, unknown-session."""
        if not session_id:
            raise Refusal(Reason.INVALID_MESSAGE, "Mcp-Session-Id is missing: initialize first.")
        session = self._open.get(session_id)
        if session is None or session.principal != principal or self._is_idle(session):
            raise Refusal(Reason.UNKNOWN_SESSION, "There is no such session. Initialize a new one.")
        session.used = self._clock()
        self._open.move_to_end(session_id)
        self._whose[session.principal].move_to_end(session_id)
        return session

    def close(self, session: Session) -> None:
        """Forget a session."""
        if self._open.pop(session.id, None) is None:
            return
        own = self._whose[session.principal]
        del own[session.id]
        if not own:
            del self._whose[session.principal]

    def _is_idle(self, session: Session) -> bool:
        return self._clock() - session.used > IDLE


Owners = Mapping[str, tuple[str, str]]  # by the name at /mcp: the member, and its own name there


@frozen
class Names:
    """Whose the names of one list are."""

    stamp: str  # of the generation that was in force
    learned: float
    owners: Owners


class KnownNames:
    """What lists said last, by caller, era and list. `clock` is monotonic, in seconds; `most` bounds the names."""

    def __init__(self, clock: Callable[[], float], most: int = NAMES) -> None:
        self._clock = clock
        self._most = most
        self._size = 0
        self._lists: OrderedDict[tuple[str, ...], Names] = OrderedDict()  # the one that was learned last is the last

    def learn(self, key: tuple[str, ...], stamp: str, owners: Owners) -> None:
        """Take in what a list says."""
        self._forget(key)
        self._lists[key] = Names(stamp, self._clock(), owners)
        self._size += _weight(owners)
        while self._size > self._most:
            self._forget(next(iter(self._lists)))

    def known(self, key: tuple[str, ...], stamp: str, within: float) -> Owners | None:
        """Whose each name was within so many seconds, in this generation; None where nobody asked."""
        names = self._lists.get(key)
        if names is None or names.stamp != stamp or self._clock() - names.learned > within:
            return None
        return names.owners

    def _forget(self, key: tuple[str, ...]) -> None:
        if names := self._lists.pop(key, None):
            self._size -= _weight(names.owners)


def _weight(owners: Owners) -> int:
    return 1 + sum(1 + len(name) // USUAL for name in owners)
