"""log-to-eventhub: a text of one's own, sent to an event hub.

As in Azure API Management: `logger-id` names where, which the settings say; `partition-id` or `partition-key` choose
the partition; what is sent is cut at 200 KB; nobody waits for it, and no call fails because it could not be sent.
Secrets are kept out as with trace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.decision import LogEvent
from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Templated, Text
from mcpgov.policy.element import SECTIONS, Element
from mcpgov.policy.elements.trace import open_text

if TYPE_CHECKING:
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.element import Verdict
    from mcpgov.policy.expression import Template
    from mcpgov.policy.place import Attribute, Place

LONGEST: Final = 204_800  # bytes; API Management cuts there
LONGEST_KEY: Final = 128  # characters; Event Hubs takes no more
LOGGER: Final = Text("logger-id", "one of the settings' loggers; literal")
PARTITION: Final = Text("partition-id", "the number of a partition; literal", "")
KEY: Final = Templated("partition-key", "events of one key go to one partition", "")
BODY: Final = Templated("body", "what is sent", xml=".")


@frozen
class LogToEventhub(Element):
    """One event."""

    name: ClassVar[str] = "log-to-eventhub"
    sections: ClassVar[tuple[str, ...]] = SECTIONS
    attributes: ClassVar[tuple[Attribute[object], ...]] = (LOGGER, PARTITION, KEY, BODY)
    logger: str
    partition: str
    key: Template
    body: Template

    @classmethod
    def load(cls, place: Place) -> Self:
        """`logger-id`, `body`, and `partition-id` or `partition-key`."""
        logger, partition = LOGGER.read(place), PARTITION.read(place)
        if logger.lstrip().startswith(("@", "${")):
            place.at(LOGGER.name).note("logger-id is the name of a logger", "write it: nobody may choose it")
        if partition and not (partition.isascii() and partition.isdigit()):
            place.at(PARTITION.name).note("partition-id is no number", 'write one, in quotes, like "0"')
        if partition and place.has(KEY.name):
            place.at(KEY.name).note("there is a partition-id, too", "remove one of the two", at_key=True)
        return cls(logger, partition, open_text(KEY, place), open_text(BODY, place))

    def run(self, draft: Draft) -> Verdict:
        """Send it. Raises ExpressionError."""
        key = draft.masked(self.key.value(draft))[:LONGEST_KEY]
        body = draft.masked(self.body.value(draft)).encode("utf-8", "replace")
        yield LogEvent(draft.at, self.logger, body[:LONGEST].decode("utf-8", "ignore"), self.partition, key)
