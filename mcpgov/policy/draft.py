"""One request's way through its policies: what the elements have said so far, and what they asked. Not frozen.

The Decision is made from it. Elements write into it and ask it; nothing outside this room keeps one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

from mcpgov.decision import Changes, HeaderEdit, QueryEdit, Reply
from mcpgov.errors import ExpressionError
from mcpgov.frozen import frozen
from mcpgov.policy.http_fields import folded
from mcpgov.policy.token_values import Checked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcpgov.decision import Granted, Reason, Reported, Retry, Spend, Spent
    from mcpgov.models import Json
    from mcpgov.policy.context import Context, LastError, Response
    from mcpgov.policy.token_values import Jwt

CREDENTIAL_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "x-api-key", "cookie"})
KEY_PREFIX: Final = "mcpgov_"  # a gateway key begins so, whichever header carries it
MAX_ANSWERS: Final = 4096
MASK: Final = "***"
INBOUND: Final = "inbound"
T = TypeVar("T")
# What new drafts are made with: `list[str]` and the like take six times as long to call.
_LIST: Final = cast("Callable[[], list[Any]]", list)
_DICT: Final = cast("Callable[[], dict[Any, Any]]", dict)


@frozen
class Denial:
    """An element said no. `message` is told to the caller; `detail` is for the record and quotes no value.

    `headers` join the refusal; `reply` replaces it. `error_reason` is API Management's word for it (LastError.Reason).
    """

    reason: Reason
    message: str
    rule: str = ""
    detail: str = ""
    as_tool_result: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    reply: Reply | None = None
    error_reason: str = ""


@frozen
class Limit:
    """One limit that a request was counted against, and the names of the headers that tell the caller of it."""

    spent: Spent
    total_header: str
    remaining_header: str
    retry_header: str


class Rewriter(Protocol):
    """Changes what the upstream answers, one JSON-RPC message at a time."""

    def concerns(self, data: bytes) -> bool:
        """Whether a message in `data` may have to be changed; it is not read where nobody says so."""
        ...

    def rewritten(self, message: dict[str, Json]) -> dict[str, Json]:
        """The message as the caller may see it; the same object where nothing changes. Raises Refusal."""
        ...


class Watch(Protocol):
    """Looks on while elements are run, for explanations and for coverage."""

    def entered(self, rule: str, draft: Draft) -> None:
        """The element that `rule` names is about to be run."""
        ...

    def left(self, rule: str, draft: Draft, denial: Denial | None) -> None:
        """It was run."""
        ...

    def took(self, rule: str, way: str) -> None:
        """A choose took one of its ways: `branch 1`, `otherwise`, or `no branch` where it has no otherwise."""
        ...


class Settlement(Protocol):
    """What is left to do for a limit when the status of the answer is known."""

    def refund(self, draft: Draft) -> bool:
        """Whether the call turns out not to count. Raises ExpressionError."""
        ...


@frozen
class Seen:
    """One question that an element asked, for explanations: `rule` asked `question` and got `answer`."""

    rule: str
    question: str
    answer: str


@dataclass(slots=True)
class Answers:
    """What the policies asked of the request, in order: t true, f false, v some value, e no usable value.

    `given` are the letters of an earlier evaluation: they answer instead of the request, which is how a recorded
    decision is made again without the arguments and headers that no record holds. `seen` collects for explanations.
    What came of an effect is asked here too, so that it is the same again.
    """

    given: str | None = None
    letters: list[str] = field(default_factory=_LIST)
    seen: list[Seen] | None = None
    secrets: list[str] = field(default_factory=_LIST, repr=False)  # what no line of the log, no explanation shows

    def ask(self, rule: str, question: str, compute: Callable[[], bool]) -> bool:
        """The answer to a yes-or-no question about the request. Raises ExpressionError."""
        if self.given is not None:
            letter = self._next()
            self._note(rule, question, letter, {"t": "true", "f": "false"}.get(letter, "no usable value"))
            if letter not in "tf":
                raise ExpressionError("an expression had no usable value for this request")
            return letter == "t"
        answer = self._computed(rule, question, compute)
        self._note(rule, question, "t" if answer else "f", "true" if answer else "false")
        return answer

    def value(self, rule: str, question: str, compute: Callable[[], T], otherwise: T, *, secret: bool = False) -> T:
        """A value made from the request; `otherwise` where it is not there any more. Raises ExpressionError.

        `secret`: explanations do not show it.
        """
        if self.given is not None:
            letter = self._next()
            if letter != "v":
                self._note(rule, question, letter, "no usable value")
                raise ExpressionError("an expression had no usable value for this request")
            try:
                value = compute()
            except ExpressionError:
                value = otherwise
        else:
            value = self._computed(rule, question, compute)
        if secret and self.seen is not None:
            self.secrets.append(str(value))
        self._note(rule, question, "v", "***" if secret else repr(value) if self.seen is not None else "")
        return value

    def outcome(self, *, came: bool) -> bool:
        """What came of an effect, as it came then: kept like an answer, but nothing that was asked of the request."""
        came = self._next() == "t" if self.given is not None else came
        if len(self.letters) < MAX_ANSWERS:
            self.letters.append("t" if came else "f")
        return came

    def _next(self) -> str:
        at = len(self.letters)
        return self.given[at] if self.given is not None and at < len(self.given) else "e"

    def _computed(self, rule: str, question: str, compute: Callable[[], T]) -> T:
        try:
            return compute()
        except ExpressionError as error:
            self._note(rule, question, "e", str(error))
            raise

    def _note(self, rule: str, question: str, letter: str, answer: str) -> None:
        if len(self.letters) < MAX_ANSWERS:
            self.letters.append(letter)
        if self.seen is not None:
            self.seen.append(Seen(rule, question, answer))


@dataclass(slots=True)
class Draft:
    """What is known and was said so far. `at` is the rule of the element that is being run; `apart` stands in the keys
    of counters that nobody else may share. `tokens` is what each rule found out of a token, or got, so that it is the
    same when the same request is asked about again. `ended`: while it is asked what is hidden, no tool gets further.

    `header_edits`, `query_edits`, `backend`, `path`, `own_query`, `forwarded`, `timeout`, `fail_on_error` and `retry`
    are of the request that goes upstream; `reply_edits`, `reply_status` and `reply_body` of the answer to the caller.
    """

    context: Context
    answers: Answers = field(default_factory=Answers)
    section: str = INBOUND
    at: str = ""
    variables: dict[str, object] = field(default_factory=_DICT, repr=False)  # one may be a token
    tokens: dict[str, object] = field(default_factory=_DICT, repr=False)
    ended: bool = False
    annotations: Mapping[str, object] = field(default_factory=_DICT)
    response: Response | None = None
    last_error: LastError | None = None
    header_edits: list[HeaderEdit] = field(default_factory=_LIST)
    query_edits: list[QueryEdit] = field(default_factory=_LIST)
    backend: str | None = None
    path: str | None = None
    own_query: bool = True
    forwarded: list[str] = field(default_factory=_LIST)
    timeout: float | None = None
    fail_on_error: bool = False
    retry: Retry | None = None
    spent: dict[Spend, Spent] = field(default_factory=_DICT)
    limits: list[Limit] = field(default_factory=_LIST)
    apart: str = ""
    settlements: dict[Spend, Settlement | None] = field(default_factory=_DICT)
    reply_headers: list[tuple[str, str]] = field(default_factory=_LIST)
    reply_edits: list[HeaderEdit] = field(default_factory=_LIST)
    reply_status: int | None = None
    reply_body: bytes | None = None
    charges: list[Spend] = field(default_factory=_LIST)
    rewriters: list[Rewriter] = field(default_factory=_LIST)
    reported: list[Reported] = field(default_factory=_LIST)
    grants: list[Granted] = field(default_factory=_LIST)
    watch: Watch | None = None
    _headers: dict[str, str] | None = None

    @property
    def request_headers(self) -> Mapping[str, str]:
        """The caller's header fields as the elements before have left them: lower-case names, repeated ones joined.

        A field that carries the caller's credential is not among them: an expression could send it on.
        """
        if self._headers is None:
            headers: dict[str, str] = {}
            for name, value in self.context.request.head.headers.fields:
                if not self.withholds(name, value):
                    headers[name] = f"{headers[name]}, {value}" if name in headers else value  # RFC 9110 section 5.3
            for edit in self.header_edits:
                edit.apply(headers)
            self._headers = headers
        return self._headers

    def withholds(self, name: str, value: str) -> bool:
        """Whether a field of the caller's, its name in lower case, goes nowhere: a credential stands in it, or may."""
        name = folded(name)
        return name in CREDENTIAL_HEADERS or name in self.context.withheld or KEY_PREFIX in value

    def header_values(self, name: str) -> list[str]:
        """Every value of a header of the caller's, after the edits so far; of one that carries a credential too.

        Nothing but what came of it may go on from here.
        """
        found = list(self.context.request.head.headers.all(name))
        for edit in self.header_edits:
            if edit.name == name:
                headers = {name: ", ".join(found)} if found else dict[str, str]()
                edit.apply(headers)
                found = found if edit.action == "skip" and found else [*headers.values()]
        return found

    def verified(self, text: str) -> Jwt | None:
        """What an element has found in this very token on this request; None where none has verified it."""
        return next((one.jwt for one in self.tokens.values() if isinstance(one, Checked) and one.text == text), None)

    def keep_secret(self, *texts: str) -> None:
        """Note what must not be shown; an empty text is nothing."""
        self.answers.secrets += filter(None, texts)

    def masked(self, text: str) -> str:
        """The text as people may read it."""
        for secret in self.answers.secrets:
            text = text.replace(secret, MASK)
        return text

    def edit_request(self, edit: HeaderEdit) -> None:
        """Note an edit of the request that goes upstream; expressions see it from now on."""
        self.header_edits.append(edit)
        self._headers = None

    @property
    def changes(self) -> Changes:
        """What the elements change in the request that goes upstream."""
        return Changes(
            headers=tuple(self.header_edits),
            query=tuple(self.query_edits),
            backend=self.backend,
            path=self.path,
            own_query=self.own_query,
            forwarded=tuple([name for name in self.forwarded if not self._holds_token(name)]),
            withheld=self.context.withheld,
            timeout=self.timeout,
            fail_on_error=self.fail_on_error,
            retry=self.retry,
        )

    def _holds_token(self, name: str) -> bool:
        """Whether a token that was verified on this request stands in the field, also where an expression found it."""
        texts = [one.text for one in self.tokens.values() if isinstance(one, Checked) and one.jwt is not None]
        return any(text in value for value in self.context.request.head.headers.all(name) for text in texts)

    @property
    def answered(self) -> str:
        """The letters of everything that was asked; a dash where that was too much to keep."""
        return "".join(self.answers.letters) if len(self.answers.letters) < MAX_ANSWERS else "-"

    @property
    def reply(self) -> Reply | None:
        """What the elements make of the reply; None where it stays as it is."""
        if self.reply_edits or self.reply_status is not None or self.reply_body is not None:
            return Reply(self.reply_status, tuple(self.reply_edits), self.reply_body)
        return None
