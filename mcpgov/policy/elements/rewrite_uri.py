"""rewrite-uri: sends the call to another path of the upstream, or with another query.

As in Azure API Management, `template` replaces path and query, and the query that was there stays unless
`copy-unmatched-params` is false. What differs for MCP: the path and query are those of the connection's URL, and there
is no URL template, so a `{parameter}` is refused. The path can never lead to another host or out of its base: what two
servers could read differently is refused when the document is loaded, or denies the call.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self
from urllib.parse import unquote

from mcpgov.errors import ExpressionError
from mcpgov.models import LocalUpstream
from mcpgov.policy.attributes import Flag, Templated
from mcpgov.policy.element import PlainElement

if TYPE_CHECKING:
    from mcpgov.policy.draft import Denial, Draft
    from mcpgov.policy.expression import Template
    from mcpgov.policy.place import Attribute, Place

TEMPLATE: Final = Templated("template", "the path, which begins with /, and the query if there is one")
COPY: Final = Flag("copy-unmatched-params", "whether the query of the connection's URL stays", default=True)
MAX_LENGTH: Final = 2048
_PATH: Final = re.compile(r"/(?!/)(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_QUERY: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")
_SEGMENT: Final = re.compile(r"[/\\]")


@dataclass(frozen=True, slots=True)
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
        path = self.template.value(draft)
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
    return not any(part.partition(";")[0] in (".", "..") for part in _SEGMENT.split(unquote(path)))
