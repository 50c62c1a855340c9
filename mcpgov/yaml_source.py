"""Reads one YAML file strictly, and remembers where everything in it stands.

Decides what YAML means here: the part of YAML 1.2 that JSON has too, with comments and plain scalars. The only booleans
are `true` and `false`, a number is a JSON number, everything else is text (`no`, `0755`, `12:30:45` and `2026-07-28`).
What reads differently in two parsers, or grows when it is read, is refused: duplicate keys, anchors and aliases (an
alias bomb), merge keys, tags, keys that are not text, a second document, an empty file.

Every problem is found in one reading and names its line and column. Refuses to know what the values are for.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

import yaml

from mcpgov.errors import InvalidConfiguration, Problem
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic import BaseModel, ValidationError

    from mcpgov.models import Json

Path = tuple[str | int, ...]

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 32
MOST_NAMED: Final = 100  # of the words there are, in one message: a catalog may have thousands
_WHOLE: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_NOT_TEXT: Final = re.compile("[\0\ud800-\udfff]")  # only an escape can make these; no UTF-8 can carry the latter
_LARGEST: Final = 2**63 - 1
_STAR: Final = 'a text that begins with * needs quotes, like "*_delete"'  # not the text itself: it may be a secret
_MENDS: Final = (  # what the parser says, and what usually led to it
    (re.compile(r"\\t"), "indent with spaces, not tabs"),
    (re.compile(r"expected ',' or '\]', but got ':'"), "close the [ before it"),
    (re.compile(r"expected ',' or '\}', but got ':'"), "put the value in quotes, or close the { before it"),
    (re.compile(r"mapping values|but got '[{\[?]'|cannot start any token"), "put the value in quotes"),
)
# Where PyYAML's parsers, libyaml and the one in Python, do not read the same, the stricter is asked alone: tabs, line
# ends of YAML 1.1, block scalars, explicit keys, directives, nothing between a colon and what ends the value.
_DISPUTED: Final = re.compile(r"[\t\r\x85\u2028\u2029\ud800-\udfff\ufeff|>]|\?(?:\s|$)|:\s*[,\]}]|^%", re.MULTILINE)
_WORDS: Final[Mapping[str, bool | None]] = {"": None, "~": None, "null": None, "true": True, "false": False}


@frozen
class Source:
    """The plain value of a file, and the place of each value and key in it. Lines and columns count from 1."""

    file: str
    value: Json
    values: Mapping[Path, tuple[int, int]] = field(repr=False)
    keys: Mapping[Path, tuple[int, int]] = field(repr=False)

    def problem(self, path: Path, message: str, mend: str = "", *, at_key: bool = False) -> Problem:
        """A Problem at the value at `path` (or at its key); where there is no such path, at what would hold it."""
        place = self.keys.get(path) if at_key else None
        while place is None:
            place = self.values.get(path) or (None if path else (0, 0))
            path = path[:-1]
        return Problem(self.file, *place, message, mend)

    def holds_nothing(self, path: Path) -> bool:
        """Whether a key stands at `path` and nothing, or null, after it."""
        value: Any = self.value
        for step in path:
            value = value[step]
        return value is None and path in self.keys


def parse_yaml(text: str, file: str) -> Source:
    """The one document in `text`. `file` is only for messages. Raises InvalidConfiguration with every problem found."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise InvalidConfiguration((Problem(file, 0, 0, f"the file is larger than {MAX_BYTES} bytes", "split it"),))
    reading = _Reading(text, file, quick=not _DISPUTED.search(text))
    value = reading.document()
    if reading.problems:  # told in the words and with the places of the parser in Python
        reading = _Reading(text, file)
        value = reading.document()
    if reading.problems:
        raise InvalidConfiguration(tuple(reading.problems))
    return Source(file, value, reading.values, reading.keys)


def nearest(name: str, known: Iterable[str]) -> str:
    """A mend that names the known word closest to `name`, or when none is close all of them, up to MOST_NAMED."""
    words = sorted(known)
    folded = {word.lower(): word for word in words}
    close = difflib.get_close_matches(name.lower(), folded, n=1)
    if close:
        return f"did you mean {folded[close[0]]}?"
    more = f" and {len(words) - MOST_NAMED} more" if len(words) > MOST_NAMED else ""
    return f"known here: {', '.join(words[:MOST_NAMED])}{more}" if words else "there is none here"


class _Stop(Exception):
    """The rest of the file cannot be read; the problem is already noted."""


class _Reading:
    """One pass over the parser's events. Aliases are never followed: they are refused where they stand."""

    def __init__(self, text: str, file: str, *, quick: bool = False) -> None:
        self._text = text
        self._file = file
        self._events = _events(text, quick=quick)
        self.problems: list[Problem] = []
        self.values: dict[Path, tuple[int, int]] = {}
        self.keys: dict[Path, tuple[int, int]] = {}

    def document(self) -> Json:
        """The value of the only document. Problems are left in `problems`."""
        try:
            self._next()  # the start of the stream
            if isinstance(self._next(), yaml.StreamEndEvent):
                self._note(None, "the file is empty", "write what it should say, or remove it")
                return None
            value = self._value(self._next(), ())
            self._next()  # the end of the document
            if not isinstance(following := self._next(), yaml.StreamEndEvent):
                self._note(following, "a second document begins here", "one file holds one document: remove the ---")
        except _Stop:
            return None
        if value is None and not self.problems:
            self._note(None, "the file is empty", "write what it should say, or remove it")
        return value

    def _next(self) -> yaml.Event:
        try:
            return next(self._events)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            message = error.problem or error.context or "this cannot be read"
            self.problems.append(Problem(self._file, *place, f"not YAML: {message}", _mend(error)))
        except yaml.reader.ReaderError as error:
            before = self._text[: error.position]
            place = (before.count("\n") + 1, error.position - before.rfind("\n"))
            message = "a control character stands here"
            self.problems.append(Problem(self._file, *place, message, "save the file as UTF-8 text"))
        raise _Stop

    def _note(self, event: yaml.Event | None, message: str, mend: str) -> None:
        place = _place(event) if event else (0, 0)
        self.problems.append(Problem(self._file, *place, message, mend))

    def _value(self, event: yaml.Event, path: Path) -> Json:
        self.values[path] = _place(event)
        if len(path) > MAX_DEPTH:
            self._note(event, f"nested deeper than {MAX_DEPTH} levels", "flatten it")
            raise _Stop
        if isinstance(event, yaml.AliasEvent):
            self._note(event, "an alias is not allowed", _STAR)
            return None
        if getattr(event, "anchor", None) is not None:
            self._note(event, "an anchor is not allowed", "remove the &name")
        if getattr(event, "tag", None) is not None:
            self._note(event, "a tag is not allowed", "remove the !tag")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        return self._sequence(path) if isinstance(event, yaml.SequenceStartEvent) else self._mapping(path)

    def _sequence(self, path: Path) -> Json:
        items: list[Json] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return items

    def _mapping(self, path: Path) -> Json:
        entries: dict[str, Json] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event, path)
            if key in entries:
                line, column = self.keys[*path, key]
                self._note(event, f"the key {key} is written twice", f"it stands at {line}:{column} already")
            else:
                self.keys[*path, key] = _place(event)
            entries[key] = self._value(self._next(), (*path, key))
        return entries

    def _key(self, event: yaml.Event, path: Path) -> str:
        value = self._value(event, (*path, "\0"))  # also reads to its end a key that is a list or a mapping
        if isinstance(event, yaml.ScalarEvent) and value == "<<" and not event.style:
            self._note(event, "a merge key is not allowed", "write the keys out")
        if isinstance(value, str):
            return value
        if not isinstance(event, yaml.AliasEvent):
            self._note(event, "a key must be text", "put it in quotes")
        return f"\0{_place(event)}"  # stands for the key that was refused; no text can hold a NUL

    def _scalar(self, event: yaml.ScalarEvent) -> Json:
        text = event.value
        if _NOT_TEXT.search(text):
            self._note(event, "the text holds a NUL or half a character", "remove the escape that makes it")
        if event.style:  # quoted or a block
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _WHOLE.fullmatch(text):
            if len(text) <= len(str(_LARGEST)) + 1 and abs(int(text)) <= _LARGEST:
                return int(text)
            self._note(event, "the number is too large", "put it in quotes if it is text")
            return 0
        if not _DECIMAL.fullmatch(text):
            return text
        if math.isinf(number := float(text)):
            self._note(event, "the number is too large", "put it in quotes if it is text")
        return number


def _events(text: str, *, quick: bool) -> Iterator[yaml.Event]:
    parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader) if quick else yaml.SafeLoader  # not built in everywhere
    loader: Any = parser(text)  # only its parser runs: nothing is composed, resolved or constructed
    while (event := loader.get_event()) is not None:
        yield event


def _mend(error: yaml.MarkedYAMLError) -> str:
    if error.context == "while scanning an alias":
        return _STAR
    return next((mend for pattern, mend in _MENDS if pattern.search(error.problem or "")), "")


def _place(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)


_MAPPING: Final = ("must be a mapping", "write key: value")
_MESSAGES: Final[Mapping[str, tuple[str, str]]] = {
    "string_type": ("must be text", "put it in quotes"),
    "int_type": ("must be a whole number", ""),
    "int_parsing": ("must be a whole number", ""),
    "int_from_float": ("must be a whole number", ""),
    "float_type": ("must be a number", ""),
    "float_parsing": ("must be a number", ""),
    "bool_type": ("must be true or false", "without quotes"),
    "bool_parsing": ("must be true or false", "without quotes"),
    "list_type": ("must be a list", "write [a, b], or one - a line"),
    "tuple_type": ("must be a list", "write [a, b], or one - a line"),
    "set_type": ("must be a list", "write [a, b], or one - a line"),
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dataclass_type": _MAPPING,
}
_MENDS_OF: Final[Mapping[str, str]] = {"string_too_long": "shorten it"}  # where pydantic's own words will do
_QUOTED: Final = re.compile("'([^']*)'")


def problems_of(
    error: ValidationError, source: Source, model: type[BaseModel] | None = None, at: Path = ()
) -> tuple[Problem, ...]:
    """What pydantic found, said for people. No message holds a value of the file: a value may be a secret.

    `model` gives an unknown key its nearest neighbour; `at` is the path of the value that was validated.
    """
    schema = model.model_json_schema() if model else {}
    problems: list[Problem] = []
    for details in error.errors(include_url=False):
        path = (*at, *_path(details["loc"], source, at))
        name = str(details["loc"][-1]) if details["loc"] else ""
        if details["type"] == "missing":
            problems.append(source.problem(path, f"{name} is missing", f"add {name}:"))
        elif details["type"] == "extra_forbidden":
            known = _keys_at(schema, schema, details["loc"][:-1])
            mend = nearest(name, known) if known else "remove it"
            problems.append(source.problem(path, f"there is no key {name} here", mend, at_key=True))
        else:
            message, mend = _said(details["type"], details["msg"], details["input"])
            if mend == _MAPPING[1] and source.holds_nothing(path):
                mend = f"write {_label(path)}: {{}}"
            mend = getattr(details.get("ctx", {}).get("error"), "mend", mend)  # a check of ours may know better
            problems.append(source.problem(path, f"{_label(path)} {message}".lstrip(), mend))
    return tuple(problems)


def _label(path: Path) -> str:
    """A value by its key; an item of a list by the list's."""
    match path:
        case (*_, str(name), int(number)):
            return f"{name}[{number}]"
        case (*_, last):
            return str(last)
        case _:
            return ""


def _path(loc: Path, source: Source, at: Path) -> Path:
    """`loc` without what pydantic adds to it: the branch of a union, the mark of a key."""
    path: Path = ()
    for step in loc:
        if (*at, *path, step) in source.values:
            path = (*path, step)
    return path


def _said(kind: str, message: str, given: object) -> tuple[str, str]:
    """What is wrong, and the mend. `given` is only compared with what may stand there."""
    if kind in _MESSAGES:
        return _MESSAGES[kind]
    said = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    mend = nearest(str(given), _QUOTED.findall(said)) if kind == "literal_error" else _MENDS_OF.get(kind, "")
    return re.sub(r"^(?:Input|String|Value|List|Tuple|Dictionary) should ", "must ", said), mend


def _keys_at(schema: Mapping[str, Any], node: Mapping[str, Any], loc: Path) -> tuple[str, ...]:
    """The keys that a model's JSON Schema allows at `loc`; the name of a union's branch is passed over."""
    if "$ref" in node:
        return _keys_at(schema, schema["$defs"][node["$ref"].rpartition("/")[2]], loc)
    if branches := node.get("anyOf") or node.get("oneOf"):
        return tuple(key for branch in branches for key in _keys_at(schema, branch, loc))
    if not loc:
        return tuple(node.get("properties", ()))
    inner: Any = node.get("properties", {}).get(loc[0]) or node.get("items") or node.get("additionalProperties")
    return () if inner is True else _keys_at(schema, inner or node, loc[1:])
