"""check-header: lets a request in only with a header, or only with one of the values that it may have.

As in Azure API Management: the status and the message are the policy's own, and a header that stands twice has no
allowed value. It sees what the caller sent and what the elements before made of it. Also a header that carries a
credential can be asked for here, because nothing but the outcome is known afterwards; values are compared in constant
time, for one of them may be a key.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.decision import Reason, Reply
from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Flag, Number, Templated, Templates, Text
from mcpgov.policy.draft import Denial
from mcpgov.policy.element import PlainElement
from mcpgov.policy.http_fields import is_token

if TYPE_CHECKING:
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.expression import Quantity, Template
    from mcpgov.policy.place import Attribute, Place

NAME: Final = Text("name", "the header")
CODE: Final = Number("failed-check-httpcode", "the HTTP status of the refusal", 400, 599)
MESSAGE: Final = Templated("failed-check-error-message", "what the caller is told")
IGNORE_CASE: Final = Flag("ignore-case", "whether values that differ in case are the same", default=False)
VALUE: Final = Templates("value", "the values that it may have; none: it only has to be there", "value")


@frozen
class CheckHeader(PlainElement):
    """One header. `header` is in lower case."""

    name: ClassVar[str] = "check-header"
    attributes: ClassVar[tuple[Attribute[object], ...]] = (NAME, CODE, MESSAGE, IGNORE_CASE, VALUE)
    header: str
    code: Quantity
    message: Template
    ignore_case: bool
    values: tuple[Template, ...]

    @classmethod
    def load(cls, place: Place) -> Self:
        """`name`, `failed-check-httpcode`, `failed-check-error-message`; `value` (text or a list of texts)."""
        header = NAME.read(place)
        if header and not is_token(header):
            place.at("name").note("name is not a header name", "use letters, digits and -; no expression")
        if place.dialect.xml and not place.has("ignore-case"):
            place.remark("API Management requires ignore-case", 'add ignore-case="false"')
        return cls(header.lower(), CODE.read(place), MESSAGE.read(place), IGNORE_CASE.read(place), VALUE.read(place))

    def decide(self, draft: Draft, /) -> Denial | None:
        """Deny where the header is not there, or not as it has to be. Raises ExpressionError."""
        ask, at = draft.answers.ask, draft.at
        found = draft.header_values(self.header)
        if not ask(at, f"is there a header {self.header}", lambda: bool(found)):
            return self._denial(draft, "is missing", "HeaderNotFound")
        if not self.values:
            return None
        allowed = [value.value(draft) for value in self.values]
        if ask(at, f"has the header {self.header} an allowed value", lambda: self._is_among(found, allowed)):
            return None
        return self._denial(draft, "has a value that is not allowed", "HeaderValueNotAllowed")

    def _is_among(self, found: list[str], allowed: list[str]) -> bool:
        alike = (hmac.compare_digest(self._bytes(value), self._bytes(one)) for value in found for one in allowed)
        return sum(alike) > 0 and len(found) == 1

    def _bytes(self, text: str) -> bytes:
        return (text.casefold() if self.ignore_case else text).encode("utf-8", "surrogatepass")

    def _denial(self, draft: Draft, what: str, word: str) -> Denial:
        message, code = self.message.value(draft), self.code.value(draft)
        detail = f"the header {self.header} {what}"
        return Denial(Reason.HEADER_DENIED, message, detail=detail, reply=Reply(code), error_reason=word)
