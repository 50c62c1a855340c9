"""rewrite-uri: sends the call to another path of the upstream, or with another query.

As in Azure API Management, `template` replaces path and query, and the query that was there stays unless
`copy-unmatched-params` is false. What differs for MCP: the path and query are those of the connection's URL, and there
is no URL template, so a `{parameter}` is refused. What expressions put between literal text is percent-encoded: it adds
no segment and no query. The path can never lead to another host or out of its base: what two
servers could read differently is refused when the document is loaded, or denies the call.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final, Self
from urllib.parse import quote, unquote

from mcpgov.errors import ExpressionError
from mcpgov.frozen import frozen
from mcpgov.models import LocalUpstream
from mcpgov.policy.attributes import Flag, Templated
from mcpgov.policy.element import PlainElement
from mcpgov.policy.expression import Template

if TYPE_CHECKING:
    from mcpgov.models import Secret
    from mcpgov.policy.draft import Denial, Draft
    from mcpgov.policy.expression import Program
    from mcpgov.policy.place import Attribute, Place

TEMPLATE: Final = Templated("template", "the path, which begins with /, and the query if there is one")
COPY: Final = Flag("copy-unmatched-params", "whether the query of the connection's URL stays", default=True)
MAX_LENGTH: Final = 2048
_PATH: Final = re.compile(r"/(?!/)(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_QUERY: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")
_SEGMENT: Final = re.compile(r"[/\\]")
# Decoded: what ends a text in C, what a second decoding would read, what is no UTF-8 (overlong dots).
_AMBIGUOUS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f%\ufffd]")
_DOTS: Final = re.compile(r"\.{1,2}|[.\s]*(?:\.\s|\s\.)[.\s]*")  # some servers drop the blanks


@frozen
class RewriteUri(PlainElement):
    """Another path."""

    name: ClassVar[str] = "rewrite-uri"
    attributes: ClassVar[tuple[Attribute[object], ...]] = (TEMPLATE, COPY)
    template: Template
    copy: bool

    @classmethod
    def load(cls, place: Place) -> Self:
        """`template`; `copy-unmatched-params` is true unless it says otherwise."""
        template, copy = TEMPLATE.read(place), COPY.read(place)
        here, written = place.at("template"), template.literal
        if any(isinstance(part, str) and ("{" in part or "}" in part) for part in template.parts):
            mend = "there is no URL template to take it from: MCP calls have one path; write the path as it is"
            here.note("template has a parameter in braces", mend)
        elif isinstance(here.value, str) and (written or not here.value) and not is_path(written or ""):
            mend = "write a path that begins with one / and has no .. in it, other characters percent-encoded"
            here.note("template is not a path", mend)
        if place.dialect.xml and place.has("template"):
            place.remark("API Management rewrites the URL of the caller; here it is that of the connection")
        return cls(template, copy)

    def decide(self, draft: Draft, /) -> Denial | None:
        """Choose the path. Raises ExpressionError: also for what is no path, and where the server has no URL."""
        path = _filled(self.template, draft)
        if isinstance(draft.context.connection.upstream, LocalUpstream):
            raise ExpressionError("a local server has no URL that could be rewritten")
        if not draft.answers.ask(draft.at, "is it a path of this upstream", lambda: is_path(path)):
            raise ExpressionError("the rewritten URL is not a path")
        draft.path, draft.own_query = path, self.copy
        return None


def is_path(text: str) -> bool:
    """Whether `text` is a path, with or without a query, that every server reads as the same place below its root."""
    path, _, query = text.partition("?")
    if len(text) > MAX_LENGTH or not _PATH.fullmatch(path) or not _QUERY.fullmatch(query):
        return False
    # Some servers decode before they split, some take \ for /, some drop what follows a semicolon.
    decoded = unquote(path)
    dots = any(_DOTS.fullmatch(part.partition(";")[0]) for part in _SEGMENT.split(decoded))
    return not dots and not _AMBIGUOUS.search(decoded)


def _filled(template: Template, draft: Draft) -> str:
    """The text; one expression alone says the whole path, and is taken as it is. Raises ExpressionError."""
    if len(template.parts) == 1:
        return template.value(draft)
    return "".join([_piece(part, draft) for part in template.parts])


def _piece(part: str | Secret | Program, draft: Draft) -> str:
    if isinstance(part, str):
        return part
    return quote(Template((part,)).value(draft), safe="", errors="surrogatepass")  # is_path refuses half a character
