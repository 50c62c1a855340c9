"""A version of a server as the registry keeps it: ready to be shown, and small, because there may be ten thousand.

Pure. Rules: it holds what everybody may see and no more, so that nothing of an upstream can get into an answer; what
depends on who asks (the remotes, and how one signs in there) is put in when it is shown. Its document is kept as text,
which takes a fraction of the tree. Refuses to know: who asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mcpgov.models import Json

    Document = dict[str, Json]

OURS: Final = "dev.mcpgov/catalog"  # in `_meta`: what server.json has no member for
DELETED: Final = "deleted"


@dataclass(frozen=True, slots=True)
class Way:
    """A connection by its name, and how clients sign in there: a word of clientAuthType."""

    connection: str
    auth: str


@dataclass(frozen=True, slots=True)
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


def offered(document: Document, ways: Sequence[Way], gateway: str, stamp: str) -> Document:
    """A document with its remotes, at the gateway's public URL, and the stamp of the generation it stands in."""
    made = dict(document)
    meta = cast("dict[str, Document]", made.pop("_meta"))
    base = gateway.rstrip("/")
    remotes: list[Json] = [{"type": "streamable-http", "url": f"{base}/mcp/{way.connection}"} for way in ways]
    words: Document = {"authentication": list(dict.fromkeys(way.auth for way in ways))} if ways else {}
    made |= {"remotes": remotes} if remotes else {}
    made["_meta"] = {**meta, OURS: {**meta[OURS], **words, "stamp": stamp}}
    return made
