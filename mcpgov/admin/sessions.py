"""Who comes in: by an admin key, by the cookie that one was exchanged for, or by the link that the start printed.

Rules: nobody is let in without something. A session is sealed and holds for 12 hours; its key is looked up at every
request, so that revoking it ends the session. The link is good once, for a quarter of an hour, only where nobody but
this machine can connect, and only until somebody has an admin key. A form is good in the one session that it was given
to.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from mcpgov.admin.access import REFUSED, SIGNED_IN, AdminRefusal, Fault, Person, Role, deed, holder, person_of
from mcpgov.credential.sealing import Seal
from mcpgov.errors import InvalidConfiguration, Problem
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpgov.admin.access import AdminKeyStore, Note

COOKIE: Final = "mcpgov-console"
LIFE: Final = timedelta(hours=12)
LINK_LIFE: Final = timedelta(minutes=15)
LONGEST: Final = 4096  # characters of a cookie or a form's token
SCHEME: Final = "bearer"


@frozen
class Session:
    """Somebody at a browser. `id` is the session's own, and says nothing of anybody."""

    person: Person
    id: str


class Gate:
    """Lets people in, and has it written down that they came, and that somebody was refused. `seal_key` is of this
    process alone: a restart ends every session. `link` is the token of the one-time link; empty where there is none.
    """

    def __init__(
        self, keys: AdminKeyStore, note: Note, seal_key: bytes, now: Callable[[], datetime], link: str = ""
    ) -> None:
        self._keys = keys
        self._note = note
        self._sessions = Seal(seal_key, "mcpgov console session")
        self._forms = Seal(seal_key, "mcpgov console form")
        self._now = now
        self._link = link
        self._link_end = now() + LINK_LIFE

    async def has_link(self) -> bool:
        """Whether the link waits to be opened. Raises StoreUnavailable."""
        if self._link and (self._now() >= self._link_end or await any_in_force(self._keys, self._now())):
            self._link = ""
        return bool(self._link)

    async def by_key(self, authorization: str) -> Person:
        """Who an Authorization field names. Raises AdminRefusal (credential-…), StoreUnavailable."""
        scheme, _, key = authorization.partition(" ")
        if not authorization:
            raise AdminRefusal(Fault.CREDENTIAL_MISSING, "Send an admin key: Authorization: Bearer mcpgov_admin_…")
        return await self._holder_of(key.strip() if scheme.lower() == SCHEME else "")

    async def sign_in(self, key: str) -> str:
        """A cookie for the holder of a key. Raises AdminRefusal (credential-…), StoreUnavailable."""
        return await self._cookie_for(await self._holder_of(key.strip()))

    async def _holder_of(self, key: str) -> Person:
        try:
            return await person_of(key, self._keys, self._now())
        except AdminRefusal as refusal:
            await self._note(REFUSED, {"reason": refusal.fault.value})
            raise

    async def open_link(self, token: str) -> str:
        """A cookie for the one who opens the link first. Raises AdminRefusal (credential-invalid), StoreUnavailable."""
        has_link = await self.has_link()
        if not has_link or not hmac.compare_digest(self._link.encode(), token.encode("utf-8", "replace")):
            await self._note(REFUSED, {"reason": Fault.CREDENTIAL_INVALID.value})
            message = "This link was used, is too old, or is not the one that the start printed."
            raise AdminRefusal(Fault.CREDENTIAL_INVALID, message)
        self._link = ""
        return await self._cookie_for(Person("this machine", Role.ADMIN))

    async def session(self, cookie: str) -> Session | None:
        """The session that a cookie stands for; None for anything else. Raises StoreUnavailable."""
        found = self._sessions.open_text(cookie) if 0 < len(cookie) <= LONGEST else None
        if found is None or datetime.fromtimestamp(float(str(found["end"])), UTC) <= self._now():
            return None
        key_id, session_id = str(found["key"]), str(found["id"])
        if not key_id:
            return Session(Person("this machine", Role.ADMIN), session_id)
        key = await self._keys.find(key_id)
        try:
            return Session(holder(key, self._now()), session_id) if key else None
        except AdminRefusal:
            return None

    def form_token(self, session: Session) -> str:
        """What every form of a session carries."""
        return self._forms.close_text({}, session.id)

    def check_form(self, session: Session, token: str) -> None:
        """Raise AdminRefusal (origin-denied) unless a form was made for this session."""
        if len(token) > LONGEST or self._forms.open_text(token, session.id) is None:
            raise AdminRefusal(Fault.ORIGIN_DENIED, "This form was not made for you here. Open the page again.")

    async def _cookie_for(self, person: Person) -> str:
        await self._note(SIGNED_IN, deed(person, "console"))
        end = (self._now() + LIFE).timestamp()
        return self._sessions.close_text({"key": person.key_id, "id": secrets.token_urlsafe(16), "end": str(end)})


async def any_in_force(keys: AdminKeyStore, now: datetime) -> bool:
    """Whether anybody has an admin key. Raises StoreUnavailable."""
    return any(key.is_in_force(now) for key in await keys.list())


async def way_in(keys: AdminKeyStore, now: datetime, *, loopback: bool) -> str:
    """The token of a one-time link where there is no admin key in force; empty where there is one.

    Raises InvalidConfiguration where others than this machine could come in, and nobody has a key. StoreUnavailable.
    """
    if await any_in_force(keys, now):
        return ""
    if not loopback:
        mend = "make one with: mcpgov keys admin NAME --role admin"
        what = "admin.listen can be reached from elsewhere, and there is no admin key"
        raise InvalidConfiguration((Problem("mcpgov.yaml", 0, 0, what, mend),))
    return secrets.token_urlsafe(32)
