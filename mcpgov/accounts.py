"""Which account of this machine did something: who runs a verb, who owns a file. Records name them."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def local_user() -> str:
    """Who runs a verb, as records name them: the name of the account here, or its number where it has none."""
    try:
        return f"local:{getpass.getuser()}"
    except (KeyError, OSError):  # a container may run as a number that nothing names
        return f"local:{os.getuid()}"


def owners_of(places: Iterable[Path]) -> str:
    """The accounts that own these files, of those that are there; a number where an account has no name."""
    return " ".join(sorted({owner for place in places if (owner := _owner(place))}))


def _owner(place: Path) -> str:
    try:
        return place.owner()
    except KeyError:
        return str(place.stat().st_uid)
    except OSError:
        return ""
