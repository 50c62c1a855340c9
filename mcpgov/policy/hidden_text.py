"""Takes out of a text what a person does not see and a model reads: a place for instructions that nobody reviews.

Decides what counts as hidden: control characters and terminal escapes (a whole escape sequence goes), zero-width and
filler characters, soft hyphens, direction marks and overrides (CVE-2021-42574), tag characters, variation selectors.
What honest writing needs stays: tab and line feed; a joiner between letters that join or inside an emoji; one
selector after an emoji. Each match is found in one pass. Refuses to know where a text comes from.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a selector may follow: emoji. What a joiner may stand between: Arabic, Indic scripts, emoji.
_EMOJI: Final = "#*0-9\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_JOINING: Final = "\u0600-\u061b\u061d-\u109f\u2190-\u2bff\U0001f000-\U0001faff"
_PARTS: Final = (
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]",  # ECMA-48 section 5.4: control sequences
    r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x80-\x9f]*+(?:\x07|\x1b\\|\x9c)",  # 5.6: control strings
    r"\x1b[ -/]*+[0-~]",  # other escapes
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f]",
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f]",
    "[\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]",
    f"(?<![{_EMOJI}])[\ufe0e\ufe0f]",
    f"(?<![{_JOINING}])(?<![{_JOINING}]\ufe0f)[\u200c\u200d]",
    f"[\u200c\u200d](?![{_JOINING}])",
)
_HIDDEN: Final = re.compile("|".join(_PARTS))


def without_hidden(text: str) -> str:
    """`text` without what is hidden in it. Time: linear."""
    return _HIDDEN.sub("", text)


def hidden_spans(text: str) -> Iterator[range]:
    """Where in `text` that is. Time: linear."""
    return (range(*match.span()) for match in _HIDDEN.finditer(text))
