"""Letters that look like those of ASCII and are others: `d\u0435lete` is not `delete`.

Pure. The table holds letters of Cyrillic, Greek, Armenian and Cherokee that Unicode's confusables (UTS 39) map to one
letter of ASCII and that common fonts draw alike; wide and mathematical letters are found by their compatibility form
(NFKC). Honest writing stays: a text in another script, a unit such as \u03bcs, a word of Japanese next to one of
English. So it is not the letter that counts but the word: one that mixes such a letter with letters of ASCII, or one
of three letters and more that are all look-alikes, in a text that is mostly ASCII. It is no proof: there are more
look-alikes than any table has. Refuses to know where a text comes from.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_ALIKE: Final[Mapping[str, str]] = dict(
    zip(
        "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0455\u0456\u0458\u04bb\u0501\u051b\u051d\u04cf"  # Cyrillic
        "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0405\u0406\u0408\u04c0\u051a\u051c"
        "\u03b1\u03b9\u03ba\u03bd\u03bf\u03c1\u03c5\u03b3"  # Greek
        "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
        "\u0585\u057d\u0570\u0578\u0581"  # Armenian
        "\u13a0\u13a1\u13a2\u13aa\u13ab\u13ac\u13b3\u13b7\u13bb\u13c0\u13c3\u13d9\u13da\u13de\u13df\u13e2\u13e6"
        "\u0251\u0261",  # Latin letters of phonetic writing
        "aeopcyxsijhdqwl" + "ABEKMHOPCTYXSIJIQW" + "aikvopuy" + "ABEZHIKMNOPTYX" + "ouhng" + "DRTAJEWMHGZVSLCPK" + "ag",
        strict=True,
    )
)
_WORD: Final = re.compile(r"[^\W_]+")
_OTHER: Final = re.compile(r"[^\x00-\x7f]")
_ASCII: Final = re.compile(r"[A-Za-z]")
_SEPARATOR: Final = re.compile(r"[\W_]+")
_ONE_STROKE: Final = str.maketrans("0Il1|", "oiiii")  # what many fonts draw nearly alike
_SHORTEST: Final = 3  # letters of a word that is all look-alikes


def lookalikes(text: str) -> Iterator[int]:
    """Where in `text` a letter passes for one of ASCII. Time: linear."""
    if text.isascii():
        return
    letters = len(_ASCII.findall(text))
    mostly_ascii = 2 * letters > sum(map(str.isalpha, text))
    for word in _WORD.finditer(text):
        if _OTHER.search(word[0]) is None:
            continue
        alike = [at for at, char in enumerate(word[0], word.start()) if _of_ascii(char)]
        whole = mostly_ascii and len(alike) == len(word[0]) >= _SHORTEST
        if whole or _ASCII.search(word[0]):
            yield from alike


def skeleton(text: str) -> str:
    """What `text` looks like: texts with one skeleton are hard to tell apart."""
    plain = unicodedata.normalize("NFKC", text)
    return "".join(_ALIKE.get(char, char) for char in plain).translate(_ONE_STROKE)


def alike(names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """The names that a person or a model may take for one another: by their looks, by case, by what separates words.

    Each group is sorted. A group that several of these make is told once.
    """
    groups: dict[str, set[str]] = defaultdict(set)
    for name in names:
        looks = skeleton(name)
        groups[f"looks {looks}"].add(name)
        groups[f"words {_SEPARATOR.sub('', looks).casefold()}"].add(name)
    yield from sorted({tuple(sorted(group)) for group in groups.values() if len(group) > 1})


def _of_ascii(char: str) -> bool:
    """Whether a character that is none of ASCII passes for a letter that is."""
    if char.isascii():
        return False
    return char in _ALIKE or (char.isalpha() and _ASCII.fullmatch(unicodedata.normalize("NFKC", char)) is not None)
