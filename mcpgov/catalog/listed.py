"""A version of a server as the registry keeps it: ready to be shown, and small, because there may be ten thousand.

Pure. Rules: it holds what everybody may see and no more, so that nothing of an upstream can get into an answer; what
depends on who asks (the remotes, and how one signs in there) is put in when it is shown. Where a gateway key is to be
sent is told as a header that clients ask a person for: its name and a place for the key, never a key. Its document is
kept as text, which takes a fraction of the tree. Refuses to know: who asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from mcpgov.frozen import frozen
from mcpgov.models import AuthType
from mcpgov.publish.offer import KeyHeader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mcpgov.models import Json

    Document = dict[str, Json]

OURS: Final = "dev.mcpgov/catalog"  # in `_meta`: what server.json has no member for
DELETED: Final = "deleted"
BEARER: Final = KeyHeader("Authorization", "Bearer ")


@frozen
class Way:
    """A connection by its name, and how clients sign in there: a word of clientAuthType."""

    connection: str
    auth: str


@frozen
class Listed:
    """One version of a server. `ways` are those of a deleted one too: who could not reach it does not see it now.

    `document` is its server.json but for the remotes, as JSON; `text`, in lower case, is what is searched; `updated`
    is in UTC and whole seconds.
    """

    name: str
    version: str
    title: str
    status: str
    updated: datetime
    ways: tuple[Way, ...]
    text: str
    document: bytes

    @property
    def deleted(self) -> bool:
        """Whether it is served no more."""
        return self.status == DELETED


def offered(document: Document, ways: Sequence[Way], gateway: str, stamp: str, header: KeyHeader = BEARER) -> Document:
    """A document with its remotes, at the gateway's public URL, and the stamp of the generation it stands in.

    `header` is where gateway keys are sent.
    """
    made = dict(document)
    meta = cast("dict[str, Document]", made.pop("_meta"))
    base = gateway.rstrip("/")
    remotes: list[Json] = [_remote(way, base, header) for way in ways]
    words: Document = {"authentication": list(dict.fromkeys(way.auth for way in ways))} if ways else {}
    made |= {"remotes": remotes} if remotes else {}
    made["_meta"] = {**meta, OURS: {**meta[OURS], **words, "stamp": stamp}}
    return made


def _remote(way: Way, base: str, header: KeyHeader) -> Document:
    """Where clients reach a connection, and what they are to ask for (server.json, KeyValueInput)."""
    remote: Document = {"type": "streamable-http", "url": f"{base}/mcp/{way.connection}"}
    if way.auth != AuthType.CUSTOM_KEYS:
        return remote
    # A name of its own for each connection: clients keep one answer for all questions of one name.
    variable = f"{way.connection.replace('-', '_')}_key"
    asked: Document = {"description": f"Gateway key for {way.connection} (mcpgov_…)"}
    asked |= {"isRequired": True, "isSecret": True, "placeholder": "mcpgov_…"}
    value = header.value(f"{{{variable}}}")
    said: Document = {"name": header.name, "value": value, "isRequired": True, "isSecret": True}
    return {**remote, "headers": [{**said, "variables": {variable: asked}}]}
