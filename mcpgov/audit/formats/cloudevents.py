"""Records as CloudEvents 1.0, in batches of the JSON format (application/cloudevents-batch+json). Pure.

`id` is the record's name everywhere, so that `source` and `id` together are unique, as the specification asks (3.1.1).
`traceparent` is its Distributed Tracing extension.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcpgov.audit.exported import Payload
from mcpgov.audit.formats.batches import LIMIT, divided, encoded, moment, name_of, text_of, traceparent
from mcpgov.audit.record import timestamp
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mcpgov.audit.exported import Exported
    from mcpgov.models import Json

MEDIA_TYPE: Final = "application/cloudevents-batch+json"


@frozen
class CloudEvents:
    """The Format `cloudevents`. `limit` is in bytes."""

    limit: int = LIMIT

    def payloads(self, records: Sequence[Exported]) -> Iterator[Payload]:
        """One event a record."""
        for part, events in divided(records, event, self.limit):
            yield Payload(b"[" + b",".join(events) + b"]", len(part), MEDIA_TYPE, name_of(part, ".json"))


def event(one: Exported) -> bytes:
    """A record as an event."""
    made: dict[str, Json] = {
        "specversion": "1.0",
        "id": one.uid,
        "source": f"urn:mcpgov:{one.log}",
        "type": f"dev.mcpgov.audit.{text_of(one.record, 'event')}",
        "time": timestamp(moment(one)),
        "datacontenttype": "application/json",
        "data": one.fields,
    }
    if parent := traceparent(one.record):
        made["traceparent"] = parent
    return encoded(made)
