"""What in the texts of a definition speaks to a model and not to the person who approves it.

Pure. Hidden characters are an error: no honest definition needs them. Look-alikes, and words that read like orders, are
warnings and no more: whoever knows this list can write around it, and honest servers use some of its words. Each text
is looked at with what is hidden taken out, in its compatibility form. Time: linear. Refuses to know what a schema is.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from mcpgov.pinning.finding import Finding, Severity
from mcpgov.pinning.lookalikes import lookalikes
from mcpgov.pinning.revealed import quoted, revealed, unseen
from mcpgov.policy.hidden_text import without_hidden

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from mcpgov.models import Json
    from mcpgov.pinning.finding import Path

SHOWN: Final = 3  # hidden characters that a message names
_EXCERPT: Final = 60  # characters of a text that a message repeats
_GAP: Final = r"\W++(?:\w++\W++){0,4}?"  # between two words: up to four others
_ORDERS: Final[Mapping[str, re.Pattern[str]]] = {
    what: re.compile(pattern, re.IGNORECASE)
    for what, pattern in {
        "tells a model to set earlier instructions aside": (
            rf"\b(?:ignore|disregard|forget|override){_GAP}(?:previous|prior|above|earlier|other|system)"
            rf"{_GAP}(?:instructions?|prompts?|rules|messages?|tools?)"
        ),
        "has a tag that stands for authority": (
            r"</?(?:important|system|instructions?|secret|admin|critical|priority|sys|inst)\b[^<>]{0,40}>"
            r"|\[/?INST\]|<\|[a-z_]{1,20}\|>"
        ),
        "asks to keep something from the user": (
            rf"\b(?:do\W+not|don't|never|must\W+not|without){_GAP}(?:tell|telling|mention|mentioning|inform|informing"
            rf"|notify|notifying|reveal|revealing|show|showing|ask|asking){_GAP}(?:the\W+)?users?\b"
        ),
        "orders another call": (
            rf"\b(?:before|after|whenever|instead\W+of){_GAP}(?:using|calling|invoking|running){_GAP}"
            rf"(?:this|any|other|another|every)\W+(?:other\W+)?tools?\b"
        ),
        "names files that hold secrets": (
            r"(?:~|\$HOME|/home/\w{1,32}|/root)/\.(?:ssh|aws|azure|kube|gnupg|docker|netrc|npmrc|cursor|config)\b"
            r"|\bid_(?:rsa|ed25519|ecdsa)\b|/etc/(?:passwd|shadow)\b|(?<![\w/.])\.env\b|\bmcp\.json\b"
        ),
        "asks for secrets or the conversation": (
            rf"\b(?:read|send|pass|include|provide|append|attach|copy|forward|upload){_GAP}"
            rf"(?:(?:private|api|access|secret)\W{{0,2}}keys?|passwords?|credentials?|access\W{{0,2}}tokens?"
            rf"|(?:system\W+prompt|conversation|chat)(?:\W+history)?)\b"
        ),
    }.items()
}
_TOOL: Final = re.compile(r"[A-Za-z0-9]+(?:[_.-][A-Za-z0-9]+)+")  # a name that is no word of plain language


def hidden_findings(tool: str, definition: Mapping[str, Json]) -> Iterator[Finding]:
    """The hidden characters in the keys and texts of a definition within the bounds: errors."""
    for path, text in _texts(definition):
        if found := unseen(text):
            more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            said = f"hidden characters: {', '.join(found[:SHOWN])}{more}"
            yield Finding(Severity.ERROR, tool, path, said, "a model reads what a person does not see")


def wording_findings(tool: str, definition: Mapping[str, Json], others: Collection[str] = ()) -> Iterator[Finding]:
    """What is found in what the keys and texts say: warnings. `others` are the names of other servers' tools."""
    for path, text in _texts(definition):
        yield from _disguised(tool, path, text)
        plain = unicodedata.normalize("NFKC", without_hidden(text))
        for what, pattern in _ORDERS.items():
            if match := pattern.search(plain):
                said = f"the text {what}: {_excerpt(match[0])}"
                yield Finding(Severity.WARNING, tool, path, said, "read it as a model would")
        for name in sorted(set(_TOOL.findall(plain)).intersection(others) if others else ()):
            said = f"the text speaks of {quoted(name)}, a tool of another server"
            yield Finding(Severity.WARNING, tool, path, said, "see whether it steers calls of that one")


def _disguised(tool: str, path: Path, text: str) -> Iterator[Finding]:
    places = tuple(lookalikes(text))
    if places:
        start = max(0, places[0] - _EXCERPT // 2)
        said = f"letters that look like others: {_excerpt(text[start : start + _EXCERPT])}"
        yield Finding(Severity.WARNING, tool, path, said, "write the word in one script")


def _texts(value: Mapping[str, Json]) -> Iterator[tuple[Path, str]]:
    """Every key and every text, in order, each with its path."""
    waiting: list[tuple[Path, Json]] = [((), dict(value))]
    while waiting:
        path, one = waiting.pop()
        if isinstance(one, str):
            yield path, one
        elif isinstance(one, dict):
            yield from (((*path, key), key) for key in one)
            waiting += (((*path, key), child) for key, child in reversed(one.items()))
        elif isinstance(one, list):
            waiting += (((*path, at), item) for at, item in reversed(tuple(enumerate(one))))


def _excerpt(text: str) -> str:
    return f'"{revealed(text[:_EXCERPT])}{"…" * (len(text) > _EXCERPT)}"'
