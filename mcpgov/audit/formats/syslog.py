r"""Records as syslog messages (RFC 5424), each with its length in front (octet counting: RFC 6587 3.4.1, RFC 5425 4.3).

Pure. The message is the record as JSON in ASCII, where no character can end a line or turn its direction. What is most
searched for stands in structured data too; there RFC 5424 (6.3.3) escapes `"`, `\` and `]`, and what is not printable
is written out (`\u202e`). The facility is 13, log audit.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from mcpgov.audit.exported import Payload
from mcpgov.audit.formats.batches import LIMIT, divided, is_trouble, moment, name_of, text_of
from mcpgov.audit.record import timestamp
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mcpgov.audit.exported import Exported

MEDIA_TYPE: Final = "application/octet-stream"
FACILITY: Final = 13
WARNING, INFORMATIONAL = 4, 6
SD_ID: Final = "mcpgov@32473"  # the number that RFC 5612 keeps for examples: mcpgov has none of its own
NIL: Final = "-"
NAMED: Final = {  # a name has at most 32 characters
    "call": "call_id",
    "correlation": "correlation_id",
    "connection": "mcpgov.connection",
    "tool": "gen_ai.tool.name",
    "principal": "mcpgov.principal.id",
    "source": "client.address",
    "status": "mcpgov.status",
    "reason": "mcpgov.decision.reason",
}
_ESCAPED: Final = str.maketrans({'"': r"\"", "\\": r"\\", "]": r"\]"})


@frozen
class Syslog:
    """The Format `syslog`. `host` is the HOSTNAME of the messages, `limit` is in bytes."""

    host: str = NIL
    limit: int = LIMIT

    def payloads(self, records: Sequence[Exported]) -> Iterator[Payload]:
        """One message a record."""
        for part, frames in divided(records, self.frame, self.limit):
            yield Payload(b"".join(frames), len(part), MEDIA_TYPE, name_of(part, ".syslog"))

    def frame(self, one: Exported) -> bytes:
        """A message with its length in front."""
        severity = WARNING if is_trouble(one.record) else INFORMATIONAL
        known = {"log": one.log, "writer": one.writer, "seq": str(one.seq)}
        known |= {name: text_of(one.record, field) for name, field in NAMED.items()}
        data = "".join(f' {name}="{param(text)}"' for name, text in known.items() if text)
        head = " ".join(
            (
                f"<{FACILITY * 8 + severity}>1",
                timestamp(moment(one)),
                header(self.host, 255),
                "mcpgov",
                header(one.writer, 128),
                header(text_of(one.record, "event"), 32),
            )
        )
        message = f"{head} [{SD_ID}{data}] {json.dumps(one.fields, sort_keys=True, separators=(',', ':'))}"
        frame = message.encode("utf-8", "replace")
        return b"%d %b" % (len(frame), frame)


def header(text: str, most: int) -> str:
    """A field of the header: printable ASCII without blanks (RFC 5424, 6.2), or the nil value."""
    return "".join(one for one in text if "!" <= one <= "~")[:most] or NIL


def param(text: str) -> str:
    """A value of structured data (RFC 5424, 6.3.3)."""
    shown = "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)
    return shown.translate(_ESCAPED)
