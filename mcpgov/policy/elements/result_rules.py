"""result-rules: what may come back: how much of it, what of it is blacked out, and nothing that only a model sees.

It looks at each message of the answer by itself, in JSON and in event streams: at results, at errors, and at what the
server says on its own. Hidden characters go first, so that none can break up what a pattern looks for; then patterns,
then paths; what is left is measured. A result that cannot be read, or looked through, is refused and never passed on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.models import Kind
from mcpgov.policy.attributes import Choice, Flag, Items, Text, Texts, WholeNumber
from mcpgov.policy.element import OUTBOUND, PlainElement
from mcpgov.policy.hidden_text import without_hidden
from mcpgov.policy.json_paths import TooManyPlaces, compile_path
from mcpgov.policy.message_text import PAYLOADS, size_of, truncated, with_texts
from mcpgov.policy.named import TOOLS, read_tools, remark_own
from mcpgov.policy.patterns import TooMuchWork, Work, compile_pattern

if TYPE_CHECKING:
    from mcpgov.models import Json
    from mcpgov.policy.draft import Denial, Draft
    from mcpgov.policy.glob import ToolNames
    from mcpgov.policy.json_paths import Places
    from mcpgov.policy.patterns import Pattern
    from mcpgov.policy.place import Attribute, Place

LARGEST: Final = 64 * 1024 * 1024  # no larger answer passes any policy that looks into it
LONGEST: Final = 1024 * 1024  # characters of one text, which is read once for each pattern
BLACKED_OUT: Final = "***"
TRUNCATE: Final = "truncate"
MAX_SIZE: Final = WholeNumber("max-size", "how many bytes a result may have", 1, LARGEST, 0)
ON_EXCEED: Final = Choice("on-exceed", "what becomes of one that has more", ("deny", TRUNCATE), "deny")
STRIP: Final = Flag("strip-hidden", "whether invisible characters and terminal escapes are taken out", default=False)
PATTERN: Final = Text("pattern", "what is looked for, in RE2 syntax")
REPLACE: Final = Text("replace", "what stands there instead", BLACKED_OUT)
REDACT: Final = Items("redact", "what is blacked out wherever it is written", "redact", (PATTERN, REPLACE))
PATHS: Final = Texts("redact-paths", "places of a result that are blacked out, in JSONPath", "redact-path")


@frozen
class ResultRules(PlainElement):
    """`tools` is None for every answer; `max_size` is 0 where there is no limit."""

    name: ClassVar[str] = "result-rules"
    sections: ClassVar[tuple[str, ...]] = (OUTBOUND,)
    attributes: ClassVar[tuple[Attribute[object], ...]] = (TOOLS, MAX_SIZE, ON_EXCEED, STRIP, REDACT, PATHS)
    tools: ToolNames | None
    max_size: int
    truncates: bool
    strips: bool
    patterns: tuple[tuple[Pattern, str], ...]
    paths: tuple[Places, ...]

    @classmethod
    def load(cls, place: Place) -> Self:
        """At least one of `max-size`, `strip-hidden`, `redact` and `redact-paths`."""
        remark_own(place, cls.name)
        max_size, truncates, strips = MAX_SIZE.read(place), ON_EXCEED.read(place) == TRUNCATE, STRIP.read(place)
        patterns, paths = _patterns(place), _paths(place)
        if place.has(ON_EXCEED.name) and not place.has(MAX_SIZE.name):
            place.at(ON_EXCEED.name).note("on-exceed without max-size does nothing", "add max-size:")
        written = any(place.has(attribute.name) for attribute in (MAX_SIZE, REDACT, PATHS))
        if isinstance(place.value, dict) and not (written or strips):
            place.note("result-rules says nothing", "add max-size, strip-hidden: true, redact or redact-paths")
        return cls(read_tools(place), max_size, truncates, strips, patterns, paths)

    def decide(self, draft: Draft, /) -> Denial | None:
        """Look at each message of the answer; on a stream that the client listens to, of every call."""
        request = draft.context.request
        if self.tools is None or request.tool in self.tools or request.kind is Kind.STREAM:
            draft.rewriters.append(Looking(self, draft.at))
        return None


@frozen
class Looking:
    """Applies `rules` to each message of an answer. Implements draft.Rewriter."""

    rules: ResultRules
    rule: str

    def concerns(self, data: bytes) -> bool:
        """Whether a message is to be read at all: where only its size matters, a small one is not."""
        rules = self.rules
        return rules.strips or bool(rules.patterns or rules.paths) or len(data) > rules.max_size

    def rewritten(self, message: dict[str, Json]) -> dict[str, Json]:
        """The message as the caller may see it. Raises Refusal (result-denied)."""
        work = Work()
        changed = {key: self._shown(key, value, work) if key in PAYLOADS else value for key, value in message.items()}
        return message if changed == message else changed

    def _shown(self, key: str, value: Json, work: Work) -> Json:
        rules = self.rules
        if rules.strips or rules.patterns:
            code = value.get("code") if key == "error" and isinstance(value, dict) else None
            value = with_texts(value, lambda text: self._cleaned(text, work), numbers=bool(rules.patterns))
            if isinstance(code, int) and isinstance(value, dict):
                value = {**value, "code": code}  # JSON-RPC 2.0 section 5.1: without an integer there it is no error
        for path in rules.paths if key == "result" else ():
            try:
                value = path.replaced(value, BLACKED_OUT)
            except TooManyPlaces:
                raise self._denied("a path finds too many places") from None
        if not rules.max_size or (size := size_of(value)) <= rules.max_size:
            return value
        shorter = truncated(value, rules.max_size) if rules.truncates and key == "result" else None
        if shorter is None:
            raise self._denied(f"{size} bytes in {key}")
        return shorter

    def _cleaned(self, text: str, work: Work) -> str:
        if self.rules.strips:
            text = without_hidden(text)
        if self.rules.patterns and len(text) > LONGEST:
            raise self._denied(f"a text has more than {LONGEST} characters")
        for pattern, replacement in self.rules.patterns:
            try:
                text = pattern.replaced(text, replacement, work)
            except TooMuchWork as error:
                raise self._denied(str(error)) from None
        return text

    def _denied(self, why: str) -> Refusal:
        message = "The answer is more than this gateway passes on. Ask for less of it."
        return Refusal(Reason.RESULT_DENIED, message, detail=f"{self.rule}: {why}", as_tool_result=True)


def _patterns(place: Place) -> tuple[tuple[Pattern, str], ...]:
    found: list[tuple[Pattern, str]] = []
    for item in REDACT.read(place):
        here, replacement = item.at(PATTERN.name), REPLACE.read(item)
        if not PATTERN.read(item):
            continue
        pattern = here.compiled(compile_pattern, None)
        if pattern is not None and pattern.search(""):
            here.note("the pattern matches where nothing is written", "let it match one character at least")
        found += [(pattern, replacement)] if pattern is not None else []
    return tuple(found)


def _paths(place: Place) -> tuple[Places, ...]:
    compiled = [here.compiled(compile_path, None) for here, _ in PATHS.read(place)]
    return tuple(path for path in compiled if path is not None)
