"""/admin/v1/keys and /admin/v1/admin-keys: list, make, revoke. A key is shown once, to whoever made it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from mcpgov.admin.access import PREFIX, AdminKey, AdminRefusal, Fault, Role, mint_admin_key
from mcpgov.admin.routes import Asked, Parameter, Reply, Route
from mcpgov.audit.record import timestamp
from mcpgov.identity.api_key import PREFIX as GATEWAY_PREFIX
from mcpgov.identity.api_key import KeyRecord, digest, mint_key
from mcpgov.models import CallerScope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mcpgov.admin.parts import AdminParts
    from mcpgov.models import Secret

CREATED: Final = 201
LONGEST_NAME: Final = 128  # characters
MOST_PATTERNS: Final = 64
UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
_LIFE: Final = re.compile(r"([1-9][0-9]{0,4})([mhd])")
NAME: Final = Parameter("name", "Who will hold it; shown in records.", required=True)
EXPIRES: Final = Parameter("expires", "How long it holds: 30m, 12h, 90d; until revoked unless given.")
GATEWAY_KEY: Final = (
    NAME,
    Parameter("project", "The project that limits and reviews are asked for."),
    Parameter("connections", "The connections it is for, or patterns with * and ?.", many=True),
    Parameter("tools", "The tools it is for, or patterns with * and ?.", many=True),
    EXPIRES,
)
ADMIN_KEY: Final = (NAME, Parameter("role", "What its holder may do.", tuple(Role), required=True), EXPIRES)


class KeyRoutes:
    """The routes over gateway keys and admin keys."""

    def __init__(self, parts: AdminParts) -> None:
        self._parts = parts

    def routes(self) -> tuple[Route, ...]:
        """All of them."""
        made = "The key, shown this once."
        every = (
            Route("GET", "/keys", Role.VIEWER, "List gateway keys.", "Every key.", self.list),
            Route("POST", "/keys", Role.OPERATOR, "Make a gateway key.", made, self.create, body=GATEWAY_KEY),
            Route("DELETE", "/keys/{id}", Role.OPERATOR, "Revoke a gateway key.", "The key.", self.revoke),
            Route("GET", "/admin-keys", Role.ADMIN, "List admin keys.", "Every key.", self.list_admin),
            Route("POST", "/admin-keys", Role.ADMIN, "Make an admin key.", made, self.create_admin, body=ADMIN_KEY),
            Route("DELETE", "/admin-keys/{id}", Role.ADMIN, "Revoke an admin key.", "The key.", self.revoke_admin),
        )
        return tuple(replace(one, status=CREATED) if one.method == "POST" else one for one in every)

    async def list(self, _: Asked) -> Reply:
        """Every gateway key, oldest first."""
        now = self._parts.now()
        return Reply({"keys": [described(key, now) for key in await self._parts.keys.list()]})

    async def create(self, asked: Asked) -> Reply:
        """A new gateway key."""
        record, key = await self.make(asked)
        return Reply({**described(record, self._parts.now()), "key": key.reveal()}, CREATED)

    async def make(self, asked: Asked) -> tuple[KeyRecord, Secret]:
        """Make a gateway key. Raises AdminRefusal."""
        now = self._parts.now()
        name, project = named(asked.text("name"), "name"), named(asked.text("project"), "project", shortest=0)
        end, scope = (
            end_of(asked.text("expires"), now),
            CallerScope(patterns(asked, "connections"), patterns(asked, "tools")),
        )
        key_id, key = mint_key(self._parts.choose)
        record = KeyRecord(key_id, digest(key.reveal()), name, project, now, end, scope=scope)
        await self._parts.keys.create(record)
        return record, key

    async def revoke(self, asked: Asked) -> Reply:
        """Revoke a gateway key."""
        key_id = asked.path["id"].removeprefix(GATEWAY_PREFIX)
        if not await self._parts.keys.revoke(key_id, self._parts.now()):
            raise AdminRefusal(Fault.NOT_FOUND, "There is no gateway key with this id that is not revoked.")
        return Reply({"id": key_id, "state": "revoked"})

    async def list_admin(self, _: Asked) -> Reply:
        """Every admin key, oldest first."""
        now = self._parts.now()
        return Reply({"keys": [described_admin(key, now) for key in await self._parts.admin_keys.list()]})

    async def create_admin(self, asked: Asked) -> Reply:
        """A new admin key."""
        record, key = await self.make_admin(asked)
        return Reply({**described_admin(record, self._parts.now()), "key": key.reveal()}, CREATED)

    async def make_admin(self, asked: Asked) -> tuple[AdminKey, Secret]:
        """Make an admin key. Raises AdminRefusal."""
        now, name = self._parts.now(), named(asked.text("name"), "name")
        end = end_of(asked.text("expires"), now)
        key_id, key = mint_admin_key(self._parts.choose)
        record = AdminKey(key_id, digest(key.reveal()), name, Role(asked.text("role")), now, end)
        await self._parts.admin_keys.create(record)
        return record, key

    async def revoke_admin(self, asked: Asked) -> Reply:
        """Revoke an admin key."""
        key_id = asked.path["id"].removeprefix(PREFIX)
        if not await self._parts.admin_keys.revoke(key_id, self._parts.now()):
            raise AdminRefusal(Fault.NOT_FOUND, "There is no admin key with this id that is not revoked.")
        return Reply({"id": key_id, "state": "revoked"})


def named(text: str, what: str, shortest: int = 1) -> str:
    """A name that can be read back as it is. Raises AdminRefusal."""
    if not shortest <= len(text) <= LONGEST_NAME or not text.isprintable():
        message = f"{what} must have {shortest} to {LONGEST_NAME} printable characters."
        raise AdminRefusal(Fault.INVALID_REQUEST, message)
    return text


def patterns(asked: Asked, what: str) -> tuple[str, ...] | None:
    """One half of a key's scope; None, where it is not spoken of, is everything. Raises AdminRefusal, also for an
    empty list: whoever asks for a key that opens nothing must not get one that opens everything.
    """
    if what not in asked.body:
        return None
    given = tuple(dict.fromkeys(asked.body[what]))
    if not 0 < len(given) <= MOST_PATTERNS or any(
        not one.isprintable() or not 0 < len(one) <= LONGEST_NAME for one in given
    ):
        message = f"{what} must be 1 to {MOST_PATTERNS} names or patterns; leave it out for all of them."
        raise AdminRefusal(Fault.INVALID_REQUEST, message)
    return given


def end_of(text: str, now: datetime) -> datetime | None:
    """When a key ends; None where it does not. Raises AdminRefusal."""
    if not text:
        return None
    life = _LIFE.fullmatch(text)
    if life is None:
        raise AdminRefusal(Fault.INVALID_REQUEST, "expires is not a time; write 30m, 12h or 90d.")
    return now + timedelta(**{UNITS[life[2]]: int(life[1])})


def described(key: KeyRecord, now: datetime) -> Mapping[str, Any]:
    """A gateway key as JSON, without its digest. A scope that is null is everything."""
    return {
        "id": key.id,
        "name": key.name,
        "project": key.project,
        "connections": key.scope.connections,
        "tools": key.scope.tools,
        "state": state_of(key, now),
        **{at: stamped(getattr(key, at)) for at in ("created_at", "expires_at", "revoked_at", "last_used_at")},
        "replaced_by": key.replaced_by or None,
    }


def described_admin(key: AdminKey, now: datetime) -> Mapping[str, Any]:
    """An admin key as JSON, without its digest."""
    times = {at: stamped(getattr(key, at)) for at in ("created_at", "expires_at", "revoked_at")}
    return {"id": key.id, "name": key.name, "role": key.role.value, "state": state_of(key, now), **times}


def state_of(key: KeyRecord | AdminKey, now: datetime) -> str:
    """Whether a key holds."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= now:
        return "expired"
    return "overlapping" if isinstance(key, KeyRecord) and key.replaced_by else "in force"


def stamped(at: datetime | None) -> str | None:
    """A time as JSON."""
    return at and timestamp(at)
