"""Checks of where records are kept: whether they get there, stay there, and can be believed. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from mcpgov.doctor.facts import Level, of_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mcpgov.doctor.facts import Facts, Finding, FolderFacts, StoreFacts

# Where locks or flushes are not what SQLite needs ("How To Corrupt An SQLite Database File", 2.1 and 3.1).
NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs", "fuse.rclone"}
    | {"fuse.glusterfs", "fuse.s3fs", "fuse.blobfuse", "fuse.blobfuse2", "fuse.gcsfuse", "virtiofs"}
)
MEMORY: Final = frozenset({"tmpfs", "ramfs"})
LITTLE: Final = 1 << 30  # bytes of free space: about a million calls
NOTHING: Final = 64 << 20
SLOW: Final = 0.1  # seconds for one flush; each call waits for one
SKEW: Final = timedelta(seconds=5)


def reachable(facts: Facts) -> Iterator[Finding]:
    """A store that cannot be used."""
    for store in facts.stores:
        if store.fault:
            mend = "see docs/operations.md, and run this again; calls are refused until it can be written to"
            yield store.at.wrong("store-unavailable", store.fault, mend)


def schema(facts: Facts) -> Iterator[Finding]:
    """A store of an older release."""
    for store in facts.stores:
        if not store.fault and 0 < store.found < store.wanted:
            message = f"{store.place} has schema {store.found}, and this mcpgov wants {store.wanted}"
            mend = "mcpgov store migrate; a gateway that starts does so too"
            yield store.at.warning("store-older", message, mend)


def damage(facts: Facts) -> Iterator[Finding]:
    """A file that SQLite itself finds damaged."""
    for store in facts.stores:
        if store.condition.damage:
            message = f"{store.place} is damaged: {store.condition.damage}"
            mend = "stop the gateway, keep this file, and restore a backup: mcpgov restore"
            yield store.at.wrong("store-damaged", message, mend)


def keys_beside(facts: Facts) -> Iterator[Finding]:
    """Keys that the store was written with and that are gone: others would be made in their place."""
    for store in facts.stores:
        for name in store.keys_missing:
            message = f"{name} is gone, and {store.place} was written with it"
            mend = "put it back from a backup before the gateway starts: it would make another, and open no consent"
            yield store.at.wrong("key-file-missing", message, mend)


def folders(facts: Facts) -> Iterator[Finding]:
    """A folder that takes no file, flushes slowly, is nearly full, or lies where no ledger should."""
    for store in facts.stores:
        if folder := store.folder:
            yield from _writing(store, folder)
            yield from _space(store, folder)
            yield from _file_system(store, folder)


def _writing(store: StoreFacts, folder: FolderFacts) -> Iterator[Finding]:
    if folder.fault:
        message = f"nothing can be written to {folder.place}: {folder.fault}"
        yield store.at.wrong("folder-not-writable", message, "give it to mcpgov's user, or name another folder")
    elif folder.flush > SLOW:
        message = f"a flush to {folder.place} takes {folder.flush * 1000:.0f} ms, and each call waits for one"
        yield store.at.warning("flush-slow", message, "put the store on a local disk that is not shared")


def _space(store: StoreFacts, folder: FolderFacts) -> Iterator[Finding]:
    if folder.free < LITTLE:
        message = f"{folder.place} has {folder.free >> 20} MiB left; calls are refused when it is full"
        mend = "make room, or keep records for less long: audit.keep_days, mcpgov audit purge"
        found = store.at.wrong if folder.free < NOTHING else store.at.warning
        yield found("disk-full" if folder.free < NOTHING else "disk-filling", message, mend)


def _file_system(store: StoreFacts, folder: FolderFacts) -> Iterator[Finding]:
    if folder.kind in NETWORK:
        message = f"{folder.place} is on {folder.kind}, where locks and flushes cannot be relied on"
        yield store.at.wrong("network-file-system", message, "name a file on a local disk, or a PostgreSQL")
    elif folder.kind in MEMORY:
        message = f"{folder.place} is in memory ({folder.kind}): the ledger ends with this machine's power"
        yield store.at.wrong("store-in-memory", message, "name a file on a disk")


def clocks(facts: Facts) -> Iterator[Finding]:
    """A clock that is not that of the store, or was set back since the last record."""
    for store in facts.stores:
        skew = _apart(store.condition.clock, facts.now)
        if abs(skew) > SKEW:
            message = f"the clock of {store.place} is {skew.total_seconds():+.0f} s from ours"
            yield store.at.warning("clock-skew", message, "let both machines ask a time server (NTP)")
        if _apart(store.condition.newest, facts.now) > SKEW:
            message = (
                f"the last record of {store.place} is from {store.condition.newest:%Y-%m-%d %H:%M:%S}, ahead of now"
            )
            mend = "the clock here was set back, or that of another gateway is ahead: let them ask a time server (NTP)"
            yield store.at.warning("clock-set-back", message, mend)


def _apart(one: datetime | None, now: datetime) -> timedelta:
    return timedelta() if one is None else one - now


def permissions(facts: Facts) -> Iterator[Finding]:
    """Files that others may read and should not, or may change."""
    for file in facts.files:
        if file.mode & 0o022:
            mend = f"chmod go-w {file.place}"
            message = f"others may change it, and it holds {file.kind.value} (mode {file.mode:03o})"
            yield of_file(file.place, Level.WRONG, "writable-by-others", message, mend)
        elif readable_by_others(file.kind.name, file.mode):
            message = f"others may read it, and it holds {file.kind.value} (mode {file.mode:03o})"
            yield of_file(file.place, Level.WRONG, "readable-by-others", message, f"chmod 600 {file.place}")


def readable_by_others(kind: str, mode: int) -> bool:
    """Whether too many may read it. A secret that is mounted is often the group's, and settings hold references."""
    return bool(mode & {"KEY": 0o044, "STORE": 0o044, "NAMED": 0o004}.get(kind, 0))
