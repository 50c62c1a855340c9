"""Something that a person should know about a tool before approving it: how bad, where, what, and how to mend it.

Pure. What stands in a finding is written as revealed.py writes it. Refuses to know what is looked for.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from mcpgov.frozen import frozen
from mcpgov.pinning.revealed import quoted, revealed

Path = tuple[str | int, ...]
_STEP: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")


class Severity(StrEnum):
    """An error keeps a tool from being trusted without a person; a warning is for that person to read."""

    ERROR = "error"
    WARNING = "warning"


@frozen
class Finding:
    """What was found in the definition of `tool`, at `path` in it."""

    severity: Severity
    tool: str
    path: Path
    message: str
    mend: str = ""

    def __str__(self) -> str:
        place = f"{revealed(self.tool)}: " if self.tool else ""
        mend = f" ({self.mend})" if self.mend else ""
        return f"{place}{path_text(self.path)}: {self.severity}: {self.message}{mend}"


def path_text(path: Path) -> str:
    """inputSchema.properties.path.enum[2]; a key of other characters stands in brackets, between quotes."""
    return "".join(map(_step, path)).removeprefix(".") or "(the definition)"


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _STEP.fullmatch(step) else f"[{quoted(step, fully=True)}]"
