"""What was found out about a gateway, for the checks to judge. Values only: who finds them out is examining.py.

Rules: no fact holds a secret; a URL is one without its query, because keys stand there.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING

from mcpgov.errors import Problem
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mcpgov.identity.api_key import KeyRecord
    from mcpgov.replicas import Serving
    from mcpgov.settings import Settings
    from mcpgov.yaml_source import Path, Source


class Level(StrEnum):
    """How bad it is: what keeps the gateway from doing its work or opens it to others, and what is yet to be one."""

    WRONG = "wrong"
    WARNING = "warning"


@frozen
class Finding:
    """One thing that was found by the check of this name: where, what, and the mend."""

    level: Level
    check: str
    problem: Problem


@frozen
class At:
    """A place in a file of the configuration, to point at."""

    source: Source = field(repr=False)  # may hold keys
    path: Path = ()

    def wrong(self, check: str, message: str, mend: str) -> Finding:
        """A finding here that keeps the gateway from its work, or opens it."""
        return Finding(Level.WRONG, check, self.source.problem(self.path, message, mend))

    def warning(self, check: str, message: str, mend: str) -> Finding:
        """A finding here that is none yet."""
        return Finding(Level.WARNING, check, self.source.problem(self.path, message, mend))


class Kind(StrEnum):
    """What a file holds, and so who may do what with it."""

    KEY = "a key of this gateway"
    STORE = "records, and keys in digests"
    NAMED = "a secret that the files name"
    CONFIGURATION = "the configuration"


@frozen
class FileFacts:
    """A file and its permissions, the lowest nine bits of its mode."""

    place: str
    kind: Kind
    mode: int


@frozen
class FolderFacts:
    """The folder of a store: the kind of its file system, free bytes, and how long it took to make a small file there
    and bring it to the disk, in seconds; `fault` says why that could not be done.
    """

    place: str
    kind: str = "ext4"
    free: int = 1 << 40
    flush: float = 0.0
    fault: str = ""


@frozen
class Condition:
    """A store from inside. `damage` is what its own check says (empty: nothing), `newest` the time of its last record,
    `clock` what the server of a store believes the time to be; `proved` says whether a checkpoint of it was signed.
    """

    damage: str = ""
    proved: bool = False
    newest: datetime | None = None
    clock: datetime | None = None


@frozen
class StoreFacts:
    """One store of the ledger. `found` is the version of its schema, 0 where there is none yet; `fault` why it cannot
    be used; `folder` is None where it is a server; `keys_missing` are files that it was written with and are gone.
    """

    at: At
    place: str
    found: int
    wanted: int
    fault: str = ""
    folder: FolderFacts | None = None
    condition: Condition = Condition()
    keys_missing: tuple[str, ...] = ()


@frozen
class ServerFacts:
    """A server that the files name, as one request without a credential met it: `fault` says why there was no answer,
    `skew` how far its clock is ahead of ours in seconds, `expires` when its certificate ends.
    """

    at: At
    what: str
    url: str
    fault: str = ""
    skew: float | None = None
    expires: datetime | None = None


@frozen
class CertificateFacts:
    """What a listener of ours presents: the file, and when the first certificate in it `expires`."""

    at: At
    place: str
    expires: datetime


@frozen
class KeyFacts:
    """The gateway keys, and how many admin keys are in force."""

    keys: tuple[KeyRecord, ...] = ()
    admins: int = 0


@frozen
class Machine:
    """Where it runs: Python's version, whether its SQLite can search words, and the most files it may have open."""

    python: tuple[int, int]
    fts5: bool = True
    descriptors: int = 1 << 20


@frozen
class Facts:
    """Everything that was found out. `keys` is None where the store could not be asked; `gateways` write to it now;
    `key_ids` name the key of digests of these settings, and those before it; `versions` are for people.
    """

    source: Source = field(repr=False)
    settings: Settings
    now: datetime
    machine: Machine
    files: tuple[FileFacts, ...] = ()
    stores: tuple[StoreFacts, ...] = ()
    servers: tuple[ServerFacts, ...] = ()
    certificates: tuple[CertificateFacts, ...] = ()
    redis: str = ""
    keys: KeyFacts | None = None
    gateways: tuple[Serving, ...] = ()
    key_ids: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict[str, str])

    def at(self, *path: str | int) -> At:
        """A place in mcpgov.yaml."""
        return At(self.source, path)


def of_file(place: str, level: Level, check: str, message: str, mend: str) -> Finding:
    """A finding about a file as a whole."""
    return Finding(level, check, Problem(place, 0, 0, message, mend))
