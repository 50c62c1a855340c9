"""What an archive says of itself: its first member, `manifest.json`.

Decides which names may stand in an archive: relative, in words of a file system that mean the same everywhere. Rules: a
manifest is read as strictly as a message; what it does not name is not taken out of an archive, and what it names has
to be there, byte for byte. Refuses to know: what the members are for, and how an archive is written.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, field
from typing import TYPE_CHECKING, Final, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError

from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.strict_json import JsonLimits, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.models import Json

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
MOST_BYTES: Final = 16 << 20  # of a manifest
MOST_NAME: Final = 512
_LIMITS: Final = JsonLimits(body=MOST_BYTES, keys=1_000_000, values=2_000_000)
_PART: Final = re.compile(r"[^/\\\x00-\x1f\x7f]{1,255}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class BadArchive(Exception):
    """What is no archive of ours, or not as it was made. The text says why."""


@frozen
class Member:
    """One file: how many bytes, and their SHA-256 in hex."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    bytes: int
    sha256: str


@frozen
class StoreCopy:
    """A copy of a store as it was at one moment: its schema, and the newest checkpoint in it, which may be none."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    schema: int
    checkpoint: str = ""


@frozen
class Manifest:
    """An archive. `settings` and `store` are the names of these members; empty where there is none.

    `secrets` says whether keys are in it, `needs` names what is not and a gateway cannot do without, `elsewhere` the
    paths that the settings name outside of their own folder.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    format: int
    mcpgov: str
    made_at: str
    settings: str = ""
    store: str = ""
    copy: StoreCopy | None = None
    secrets: bool = False
    needs: tuple[str, ...] = ()
    elsewhere: dict[str, str] = field(default_factory=dict[str, str])
    members: dict[str, Member] = field(default_factory=dict[str, Member])

    @property
    def of_store(self) -> Mapping[str, Member]:
        """The store, and the keys beside it: members whose names go on from its own behind a dot."""
        named = (name for name in self.members if self.store and f"{name}.".startswith(f"{self.store}."))
        return {name: self.members[name] for name in named}

    def written(self) -> bytes:
        """The manifest as it stands in an archive: the same for the same, whatever order things came in."""
        return json.dumps(asdict(self), indent=1, sort_keys=True).encode() + b"\n"


_SHAPE: Final = TypeAdapter(Manifest)


def parse_manifest(content: bytes) -> Manifest:
    """The manifest in these bytes. Raises BadArchive."""
    try:
        value = parse(content, _LIMITS)
    except Refusal:
        raise BadArchive(f"{MANIFEST} is not JSON that reads in one way") from None
    if isinstance(value, dict) and cast("dict[str, Json]", value).get("format") not in (FORMAT, None):
        raise BadArchive("a newer mcpgov made this archive; restore it with the version that made it, or a newer one")
    try:
        manifest = _SHAPE.validate_json(content)
    except ValidationError:
        raise BadArchive(f"{MANIFEST} is not a manifest of mcpgov") from None
    for name, member in manifest.members.items():
        if not is_safe(name) or not _SHA256.fullmatch(member.sha256) or member.bytes < 0:
            raise BadArchive(f"{MANIFEST} names a member {name!r}, which no archive of mcpgov has")
    if any(name and name not in manifest.members for name in (manifest.settings, manifest.store)):
        raise BadArchive(f"{MANIFEST} names settings or a store that are not among its members")
    return manifest


def is_safe(name: str) -> bool:
    """Whether a member may have this name: below the folder it is put into, whatever the file system makes of it."""
    parts = name.split("/")
    fit = all(_PART.fullmatch(part) and part not in (".", "..") and part == part.strip() for part in parts)
    return fit and len(name) <= MOST_NAME and name != MANIFEST and not re.match(r"[A-Za-z]:", name)
