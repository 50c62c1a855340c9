"""The locks in requirements/, read: what is pinned, for whom, to which files.

Rules: a requirement is a name, an exact version, perhaps a marker, and the SHA-256 of each file that may be installed
for it; anything else (a URL, a checkout, an index, a version that floats) is a fault. Refuses to know: what is
installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
LOCKS: Final = ("runtime", "all", "stdio", "build", "site", "dev")
# A place to fetch from, in any of the ways that pip reads: the machine's own configuration says where, no file of ours.
PLACES: Final = re.compile(r".*(?:://|git\+|--(?:extra-)?index-url|--find-links|--trusted-host|--editable|^-[efi] ).*")
PIN: Final = re.compile(r"([a-z0-9][a-z0-9.-]*)==([0-9][0-9A-Za-z.!+]*)(?: ; (.+?))?((?: --hash=sha256:[0-9a-f]{64})+)")


@dataclass(frozen=True, slots=True)
class Pin:
    """One locked package. `marker` says where it is installed (PEP 508), empty for everywhere; `hashes` are SHA-256."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]


def lock(name: str) -> str:
    """The text of a lock."""
    return (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")


def requirements(text: str) -> list[str]:
    """Each requirement of a lock on one line."""
    return [" ".join(part.split()) for part in text.replace("\\\n", " ").splitlines() if part.strip()]


def pins(text: str) -> list[Pin]:
    """What a lock pins, as far as it can be read; faults() has the rest."""
    matches = filter(None, map(PIN.fullmatch, requirements(text)))
    return [Pin(found[1], found[2], found[3] or "", tuple(re.findall(r"sha256:(\w+)", found[4]))) for found in matches]


def faults(text: str) -> Iterator[str]:
    """What is no pinned package with its hashes, or names a place to fetch from."""
    for requirement in requirements(text):
        if PLACES.fullmatch(requirement):
            yield f"names a place to fetch from: {requirement}"
        elif not PIN.fullmatch(requirement):
            yield f"is not pinned with hashes: {requirement}"
