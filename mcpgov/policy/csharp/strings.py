"""What the text and the arrays of C# offer. Positions and comparisons are ordinal; nothing depends on a culture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mcpgov.policy.csharp.kinds import Word, same, text_of
from mcpgov.policy.csharp.signatures import Method, Table, method, table
from mcpgov.policy.csharp.typed_code import MAX_STRING

_MOST_WORK: Final = 100_000  # pieces times separators that one Split may look at


def _folded(text: str) -> str:
    """Text as OrdinalIgnoreCase sees it: each character by itself, so that positions stay."""
    if text.isascii():
        return text.upper()
    return "".join(each.upper() if len(each.upper()) == 1 else each for each in text)


def ignores_case(comparison: Word) -> bool:
    """Whether a StringComparison does."""
    return comparison.text.endswith("IgnoreCase")


def equal(one: str | None, other: str | None, comparison: Word) -> bool:
    """string.Equals of two texts, or nulls."""
    if one is None or other is None or not ignores_case(comparison):
        return one == other
    return _folded(one) == _folded(other)


def _with_case(test: Callable[[str, str], bool]) -> Callable[[str, str, Word], bool]:
    def compared(text: str, part: str, comparison: Word) -> bool:
        return test(_folded(text), _folded(part)) if ignores_case(comparison) else test(text, part)

    return compared


def _contains(text: str, part: str) -> bool:
    return part in text


def _at(text: str, index: int) -> str:
    if not 0 <= index < len(text):
        raise IndexError
    return text[index]


def _substring(text: str, start: int, length: int | None = None) -> str:
    end = len(text) if length is None else start + length
    if not 0 <= start <= end <= len(text):
        raise IndexError
    return text[start:end]


def _remove(text: str, start: int, length: int | None = None) -> str:
    removed = _substring(text, start, length)
    return text[:start] + text[start + len(removed) :]


def _insert(text: str, at: int, part: str) -> str:
    return _substring(text, 0, at) + part + text[at:]


def _replace(text: str, old: str, new: str | None) -> str:
    """Raises ValueError where the outcome would be too long: it is not built first."""
    if not old or len(text) + text.count(old) * (len(new or "") - len(old)) > MAX_STRING:
        raise ValueError
    return text.replace(old, new or "")


def _pad_left(text: str, width: int, filler: str = " ") -> str:
    return _padding(text, width, filler) + text


def _pad_right(text: str, width: int, filler: str = " ") -> str:
    return text + _padding(text, width, filler)


def _padding(text: str, width: int, filler: str) -> str:
    if not 0 <= width <= MAX_STRING:
        raise ValueError
    return filler[:1] * (width - len(text))


def _index_of(text: str, part: str, start: int = 0) -> int:
    if not 0 <= start <= len(text):
        raise IndexError
    return text.find(part, start)


def _index_with(text: str, part: str, comparison: Word) -> int:
    return _folded(text).find(_folded(part)) if ignores_case(comparison) else text.find(part)


def _last_index_of(text: str, part: str) -> int:
    return text.rfind(part)


def _trim(strip: Callable[[str, str | None], str]) -> Callable[..., str]:
    def trimmed(text: str, *characters: str | tuple[str, ...]) -> str:
        return strip(text, "".join("".join(each) for each in characters) or None)

    return trimmed


def _split(text: str, *separators: str) -> tuple[str, ...]:
    if not separators:
        return tuple(text.split())
    pieces = [text]
    for separator in filter(None, separators):
        pieces = [part for piece in pieces for part in piece.split(separator)]
        if len(pieces) * len(separators) > _MOST_WORK:
            raise ValueError
    return tuple(pieces)


def _split_at(text: str, separators: tuple[str, ...]) -> tuple[str, ...]:
    return _split(text, *separators)


def _split_with(text: str, separator: str | tuple[str, ...], options: Word) -> tuple[str, ...]:
    pieces = _split(text, *([separator] if isinstance(separator, str) else separator))
    return tuple(filter(None, pieces)) if options.text == "RemoveEmptyEntries" else pieces


def _split_count(text: str, separator: str | tuple[str, ...], count: int) -> tuple[str, ...]:
    (only,) = [separator] if isinstance(separator, str) else separator
    if count < 1:
        raise ValueError
    return tuple(text.split(only, count - 1))


def _compare(text: str, other: str) -> int:
    return (text > other) - (text < other)


STRING_METHODS: Final[Table] = table(
    method("int Length", len),
    method("string [](int)", _at),
    method("string ToString()", text_of),
    method("bool Contains(string)", _contains),
    method("bool Contains(string, StringComparison)", _with_case(_contains)),
    method("bool StartsWith(string)", str.startswith),
    method("bool StartsWith(string, StringComparison)", _with_case(str.startswith)),
    method("bool EndsWith(string)", str.endswith),
    method("bool EndsWith(string, StringComparison)", _with_case(str.endswith)),
    method("bool Equals(string?, StringComparison)", equal),
    method("bool Equals(object)", same),
    method("int CompareTo(string)", _compare),
    method("int IndexOf(string)", _index_of),
    method("int IndexOf(string, int)", _index_of),
    method("int IndexOf(string, StringComparison)", _index_with),
    method("int LastIndexOf(string)", _last_index_of),
    method("string Replace(string, string?)", _replace),
    method("string Substring(int)", _substring),
    method("string Substring(int, int)", _substring),
    method("string Remove(int)", _remove),
    method("string Remove(int, int)", _remove),
    method("string Insert(int, string)", _insert),
    method("string PadLeft(int)", _pad_left),
    method("string PadLeft(int, string)", _pad_left),
    method("string PadRight(int)", _pad_right),
    method("string PadRight(int, string)", _pad_right),
    method("string ToLower()", str.lower),
    method("string ToLowerInvariant()", str.lower),
    method("string ToUpper()", str.upper),
    method("string ToUpperInvariant()", str.upper),
    *(
        one
        for name, strip in (("Trim", str.strip), ("TrimStart", str.lstrip), ("TrimEnd", str.rstrip))
        for one in (
            method(f"string {name}(string...)", _trim(strip)),
            method(f"string {name}(string[])", _trim(strip)),
        )
    ),
    method("string[] Split(string...)", _split),
    method("string[] Split(string[])", _split_at),
    method("string[] Split(string, StringSplitOptions)", _split_with),
    method("string[] Split(string[], StringSplitOptions)", _split_with),
    method("string[] Split(string, int)", _split_count),
    method("string[] Split(string[], int)", _split_count),
)


def _element(items: tuple[object, ...] | list[object], index: int) -> object:
    if not 0 <= index < len(items):
        raise IndexError
    return items[index]


def _first(items: tuple[object, ...] | list[object]) -> object:
    return items[0]


def _last(items: tuple[object, ...] | list[object]) -> object:
    return items[-1]


def _first_or_default(items: tuple[object, ...] | list[object]) -> object:
    return items[0] if items else None


def _last_or_default(items: tuple[object, ...] | list[object]) -> object:
    return items[-1] if items else None


def sequence(element: str) -> tuple[Method, ...]:
    """What arrays of `element` offer, lists of JSON too."""
    return (
        method(f"{element} [](int)", _element),
        method(f"{element} ElementAt(int)", _element),
        method(f"{element} First()", _first),
        method(f"{element} Last()", _last),
        method(f"{element} FirstOrDefault()", _first_or_default),
        method(f"{element} LastOrDefault()", _last_or_default),
        method("bool Any()", bool),
        method("int Count()", len),
    )


def _has(items: tuple[str, ...], item: str) -> bool:
    return item in items


ARRAY_METHODS: Final[Table] = table(
    *sequence("string"),
    method("int Length", len),
    method("bool Contains(string)", _has),
)
BYTES_METHODS: Final[Table] = table(method("int Length", len))
