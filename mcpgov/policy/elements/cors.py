"""cors: which web pages of other origins may call, in the words of the Fetch standard.

As in Azure API Management: the preflight (OPTIONS) is answered here and nothing else is run for it; one that does not
match is answered 200, empty, without the header fields that would let the page go on. A call from an origin that may
call gets those fields on its answer, also when it is refused. An origin that may not call is refused with 403
(origin-denied) before any policy is run, unless it is the gateway's own.

Source: https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self
from urllib.parse import urlsplit

from mcpgov.decision import HeaderEdit, Reason, Reply
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Flag, Templates, Texts, WholeNumber
from mcpgov.policy.element import PlainElement
from mcpgov.policy.http_fields import is_token

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcpgov.models import Headers, RequestHead
    from mcpgov.policy.draft import Denial, Draft
    from mcpgov.policy.place import Attribute, Place

ANY: Final = "*"
ORIGIN: Final = "origin"
METHOD: Final = "access-control-request-method"
REQUESTED: Final = "access-control-request-headers"
ALLOW_ORIGIN: Final = "Access-Control-Allow-Origin"
DAY: Final = 86_400  # seconds, more than any browser keeps
PORTS: Final = {"http": ":80", "https": ":443"}
AT_THE_TOP: Final = 3  # keys that lead to an element that stands directly in its section, or in a fragment
SAFE_HEADERS: Final = frozenset(
    {"accept", "accept-language", "content-language"}
)  # need no leave, with their usual values

CREDENTIALS: Final = Flag("allow-credentials", "whether pages may send cookies and the like", default=False)
TERMINATE: Final = Flag(
    "terminate-unmatched-request",
    "whether a preflight that does not match ends here, or the next cors is asked",
    default=True,
)
ORIGINS: Final = Templates(
    "allowed-origins", "scheme://host[:port] of the pages, or *", "allowed-origins/origin", required=True
)
METHODS: Final = Texts("allowed-methods", "HTTP methods, or *; GET and POST if absent", "allowed-methods/method")
MAX_AGE: Final = WholeNumber(
    "preflight-result-max-age",
    "for how many seconds a browser may keep the answer to a preflight",
    0,
    DAY,
    0,
    "allowed-methods/@preflight-result-max-age",
)
HEADERS: Final = Texts("allowed-headers", "header fields that pages may send, or *", "allowed-headers/header")
EXPOSED: Final = Texts("expose-headers", "header fields of answers that pages may read, or *", "expose-headers/header")


@frozen
class Cors(PlainElement):
    """Who may call from where, and with what. `origins` and `headers` are in lower case."""

    name: ClassVar[str] = "cors"
    attributes: ClassVar[tuple[Attribute[object], ...]] = (
        *(CREDENTIALS, TERMINATE, ORIGINS, METHODS, MAX_AGE, HEADERS, EXPOSED),
    )
    credentials: bool
    terminate: bool
    origins: frozenset[str]
    methods: frozenset[str]
    max_age: int
    headers: frozenset[str]
    exposed: tuple[str, ...]

    @classmethod
    def load(cls, place: Place) -> Self:
        """`allowed-origins` is required; the rest has defaults."""
        if len(place.path) > AT_THE_TOP:
            why = "a preflight carries nothing that a condition could read"
            place.note("cors stands directly in inbound", why, at_key=True)
        credentials, origins = CREDENTIALS.read(place), _origins(place)
        if credentials and ANY in origins:
            place.at(ORIGINS.name).note("* cannot be allowed together with allow-credentials", "name the origins")
        exposed = tuple(_named(EXPOSED, place))
        if credentials and ANY in exposed:
            place.at(EXPOSED.name).note("* means nothing together with allow-credentials", "name the header fields")
        if place.dialect.xml:
            place.remark(
                "API Management answers a GET from another origin with an empty 200, or lets it pass;"
                " mcpgov refuses it with 403",
                at_key=True,
            )
        return cls(
            credentials=credentials,
            terminate=TERMINATE.read(place),
            origins=origins,
            methods=frozenset(_named(METHODS, place)) or frozenset({"GET", "POST"}),
            max_age=MAX_AGE.read(place),
            headers=frozenset(name.lower() for name in _named(HEADERS, place)),
            exposed=exposed,
        )

    def decide(self, draft: Draft, /) -> Denial | None:
        """Let the page read the answer, where its origin may call and no cors before this one has spoken."""
        origin = draft.context.request.head.headers.get(ORIGIN)
        if self.lets_in(origin) and ALLOW_ORIGIN not in [name for name, _ in draft.reply_headers]:
            draft.reply_headers += self._told(origin)
            if self.exposed:
                draft.reply_headers.append(("Access-Control-Expose-Headers", ", ".join(self.exposed)))
        return None

    def lets_in(self, origin: str) -> bool:
        """Whether pages of this origin may call."""
        return bool(origin) and (ANY in self.origins or origin.lower() in self.origins)

    def preflight(self, headers: Headers) -> tuple[tuple[str, str], ...]:
        """The header fields that let the page go on; none where the call that it announces does not match."""
        origin, method = headers.get(ORIGIN), headers.get(METHOD)
        asked = [name.strip().lower() for name in ",".join(headers.all(REQUESTED)).split(",") if name.strip()]
        if not (self.lets_in(origin) and self._allows(method) and all(map(self._allows_header, asked))):
            return ()
        fields = [*self._told(origin), ("Access-Control-Allow-Methods", method)]
        if asked:
            fields.append(("Access-Control-Allow-Headers", ", ".join(asked)))
        if self.max_age:
            fields.append(("Access-Control-Max-Age", str(self.max_age)))
        return tuple(fields)

    def _told(self, origin: str) -> list[tuple[str, str]]:
        if ANY in self.origins:
            return [(ALLOW_ORIGIN, ANY)]
        told = [(ALLOW_ORIGIN, origin), ("Vary", "Origin")]
        return [*told, ("Access-Control-Allow-Credentials", "true")] if self.credentials else told

    def _allows(self, method: str) -> bool:
        return is_token(method) and (method in self.methods or ANY in self.methods)

    def _allows_header(self, name: str) -> bool:
        return is_token(name) and (name in self.headers or name in SAFE_HEADERS or ANY in self.headers)


def answer_preflight(rules: Iterable[Cors], head: RequestHead) -> None:
    """Raise Refusal (preflight), which carries the reply, where there is a rule and a browser asks."""
    rules = tuple(rules)
    if not rules or ORIGIN not in head.headers or METHOD not in head.headers:
        return
    fields = next((told for rule in rules if (told := rule.preflight(head.headers)) or rule.terminate), ())
    edits = tuple(HeaderEdit(name.lower(), "override", (value,)) for name, value in fields)
    detail = "matched" if fields else "not matched"
    raise Refusal(Reason.PREFLIGHT, "A preflight was answered.", detail=detail, reply=Reply(200, edits, b""))


def _origins(place: Place) -> frozenset[str]:
    here = place.at(ORIGINS.name)
    places = place.items(ORIGINS.name) if isinstance(here.value, list) else (here,)
    found: set[str] = set()
    for item, template in zip(places, ORIGINS.read(place), strict=False):
        text = template.literal or ""
        origin = _origin(text.strip().lower())
        if not origin:
            mend = "write scheme://host[:port] as a browser sends it, or *"
            item.note("this is no origin that can be allowed", mend)
        found.add(origin)
    return frozenset(found)


def _origin(text: str) -> str:
    """The origin as a browser sends it (RFC 6454 section 6.2); empty where `text` is none, as `null` is none."""
    if text == ANY:
        return text
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return ""
    wanted = f"{parts.scheme}://{parts.netloc}"
    if text != wanted or not parts.scheme or not parts.hostname or "@" in text or ANY in text or not text.isascii():
        return ""
    return text.removesuffix(PORTS.get(parts.scheme, "")) if port is not None else text


def _named(attribute: Texts, place: Place) -> list[str]:
    """Methods or header fields."""
    texts = attribute.read(place)
    for item, text in texts:
        if not is_token(text):
            item.note(f"{text!r} is neither a name nor *", "use letters, digits and -")
    return [text for _, text in texts]
