"""Reads Azure API Management's policy files as people paste them: a tokenizer, and a tree with the place of everything.

Two in five real files are not well-formed XML: expressions hold quotes, `&&` and `<` as they are. So this is no XML
parser. It knows elements, attributes, comments, CDATA and the declaration, and where an expression ends: at the
bracket that closes its `@(` or `@{`; what stands in strings and comments of C# closes nothing. An expression keeps its
text as written. Elsewhere exactly the five entities of XML and references to characters are decoded.

There is no document type, no entity, no processing instruction, nothing fetched, and no meaning in a prefix. What
several readers could read differently is refused with its line and column. Every character is looked at a few times at
most. Refuses to know what the elements are for.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mcpgov.errors import InvalidConfiguration, Problem
from mcpgov.frozen import frozen
from mcpgov.policy.element import SECTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

POLICIES: Final = "policies"
MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 64
MAX_NODES: Final = 50_000
MAX_PROBLEMS: Final = 100
MAX_BRACKETS: Final = 256  # open at once in an expression

_WORD: Final = r"[A-Za-z_][A-Za-z0-9_.-]*"
_NAME: Final = re.compile(rf"{_WORD}(?::{_WORD})?")
_BLANK: Final = re.compile(r"\s*")
_DECLARATION: Final = re.compile(r"\s*<\?xml(?=\s)")
_TAG: Final = re.compile(rf"<({_NAME.pattern})")
_ATTRIBUTE: Final = re.compile(rf"\s+({_NAME.pattern})\s*=\s*([\"'])")
_TAG_END: Final = re.compile(r"\s*(/?)>")
_CLOSING_TAG: Final = re.compile(rf"</({_NAME.pattern})\s*>")
_EXPRESSION: Final = re.compile(r"\s*(@[({])")
_TEXT: Final = re.compile(r"[^<]*")
_VALUES: Final[Mapping[str, re.Pattern[str]]] = {quote: re.compile(rf"[^<{quote}]*(?={quote})") for quote in "\"'"}
_AFTER_EXPRESSION: Final[Mapping[str, re.Pattern[str]]] = {quote: re.compile(rf"\s*(?={quote})") for quote in "\"'"}
_REFERENCE: Final = re.compile(
    r"&(?:(?P<name>lt|gt|amp|quot|apos)|#(?P<ten>[0-9]{1,7})|#x(?P<hex>[0-9A-Fa-f]{1,6}));|&"
)
_ENTITIES: Final[Mapping[str, str]] = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_ILLEGAL: Final = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 section 2.2

# What matters in C#: comments, what opens a string (a well-formed file writes its quotes as entities), brackets.
_CODE: Final = re.compile(r"""//|/\*|'|&apos;|(?:\$@|@\$|[$@])?(?:"|&quot;)|[()\[\]{}]""")
_CLOSERS: Final[Mapping[str, str]] = {"(": ")", "[": "]", "{": "}"}
_PREFIXES: Final = ("", "@", "$", "@$", "$@")
_LINE: Final = re.compile(r"[^\n]*")


def _rest_of_string(opener: str) -> re.Pattern[str]:
    """What matters after `opener`: its `end`, the `hole` of an interpolated string, and what only looks like them."""
    quote = opener.lstrip("@$")
    skipped = quote * 2 if "@" in opener else rf"\\(?:{quote}|[\s\S])"
    holes = r"\{\{|(?P<hole>\{)|" if "$" in opener else ""
    return re.compile(rf"{skipped}|{holes}(?P<end>{quote})")


_STRINGS: Final[Mapping[str, re.Pattern[str]]] = {
    opener: _rest_of_string(opener)
    for opener in ("'", "&apos;", *(prefix + quote for prefix in _PREFIXES for quote in ('"', "&quot;")))
}


@frozen
class Attribute:
    """An attribute. `line` and `column` are those of the name; the value begins after its quote."""

    name: str
    value: str
    line: int
    column: int
    value_line: int
    value_column: int


@frozen
class Node:
    """An element, at its `<`. `text` is all that stands directly in it, from the place of its first character that is
    not blank (without such: the element's own).
    """

    name: str
    attributes: tuple[Attribute, ...]
    children: tuple[Node, ...]
    text: str
    line: int
    column: int
    text_line: int
    text_column: int


def parse_xml(text: str, file: str) -> Node:
    """The element that `text` holds; where bare sections follow one another, `policies` around them.

    `file` is only for messages. Raises InvalidConfiguration, whatever the text.
    """
    reader = _Reader(text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"), file)
    try:
        node = reader.document()
    except _Fault as fault:
        reader.note(fault)
        node = None
    if node is None or reader.problems:
        raise InvalidConfiguration(tuple(reader.problems))
    return node


class _Fault(Exception):
    """What stands at `offset` cannot be read."""

    def __init__(self, offset: int, message: str, mend: str) -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message
        self.mend = mend


@dataclass(slots=True)
class _Open:
    """An element whose end has not been reached. `text_at` is -1 until something stands in it that is not blank."""

    name: str
    offset: int
    attributes: tuple[Attribute, ...] = ()
    children: list[Node] = field(default_factory=list[Node])
    text: list[str] = field(default_factory=list[str])
    text_at: int = -1


class _Reader:
    """One pass over the text. A fault ends it, unless it can be passed over: then it is noted, and reading goes on."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._lines = [0, *(end.end() for end in re.finditer("\n", text))]
        self._at = 0
        self._nodes = 0
        self._open = [_Open("", 0)]  # the first stands for the file
        self.problems: list[Problem] = []

    def note(self, fault: _Fault) -> None:
        """Note what was wrong."""
        self.problems.append(Problem(self._file, *self._place(fault.offset), fault.message, fault.mend))

    def document(self) -> Node:
        """The one element, or the sections put together. Raises _Fault."""
        if len(self._text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
            raise _Fault(0, f"the file is larger than {MAX_BYTES} bytes", "split it")
        if illegal := _ILLEGAL.search(self._text):
            raise _Fault(illegal.start(), "a control character stands here", "save the file as UTF-8 text")
        if declaration := _DECLARATION.match(self._text):
            self._at = self._after("?>", declaration.end(), declaration.end() - 5, "the declaration")
        while self._at < len(self._text):
            if self._text[self._at] == "<":
                self._markup()
            else:
                self._characters()
        if len(self._open) > 1:
            unclosed = self._open[-1]
            raise _Fault(unclosed.offset, f"<{unclosed.name}> is not closed", f"add </{unclosed.name}>")
        roots = self._open[0].children
        if not roots:
            raise _Fault(0, "the file holds no element", "write <policies> and its sections, or remove the file")
        place = (roots[0].line, roots[0].column)
        return roots[0] if len(roots) == 1 else Node(POLICIES, (), tuple(roots), "", *place, *place)

    def _place(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1

    def _pass_over(self, fault: _Fault) -> None:
        if len(self.problems) == MAX_PROBLEMS - 1:
            raise fault
        self.note(fault)

    def _after(self, end: str, start: int, opened: int, what: str) -> int:
        found = self._text.find(end, start)
        if found < 0:
            raise _Fault(opened, f"{what} is not closed", f"add {end}")
        return found + len(end)

    def _markup(self) -> None:
        text, at = self._text, self._at
        if text.startswith("<!--", at):
            self._at = self._after("-->", at + 4, at, "the comment")
        elif text.startswith("<![CDATA[", at):
            self._at = self._after("]]>", at + 9, at, "the CDATA")
            self._add(text[at + 9 : self._at - 3], at + 9)
        elif closing := _CLOSING_TAG.match(text, at):
            self._at = closing.end()
            self._close(closing[1], at)
        elif tag := _TAG.match(text, at):
            self._start(tag[1], at)
        elif text.startswith("<!", at):
            raise _Fault(at, "a document type or an entity is not allowed", "remove it: entities are not processed")
        elif text.startswith("<?", at):
            raise _Fault(at, "a processing instruction is not allowed", "remove it")
        else:
            raise _Fault(at, "no element begins or ends here", "write &lt; for the character <")

    def _start(self, name: str, at: int) -> None:
        roots = self._open[0].children
        if len(self._open) == 1 and roots and not {name, roots[0].name} <= {*SECTIONS}:
            raise _Fault(at, "a second element stands beside the first", "put them all in <fragment> or in a section")
        self._at = at + 1 + len(name)
        attributes = self._attributes(name, at)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _Fault(at, f"there are more than {MAX_NODES} elements", "split the file")
        if len(self._open) > MAX_DEPTH:
            raise _Fault(at, f"nested deeper than {MAX_DEPTH} levels", "flatten it")
        self._open.append(_Open(name, at, attributes))
        if self._text[self._at - 2] == "/":
            self._close(name, at)

    def _attributes(self, element: str, at: int) -> tuple[Attribute, ...]:
        """Up to the > that ends the tag."""
        found: dict[str, Attribute] = {}
        while not (end := _TAG_END.match(self._text, self._at)):
            begin = _ATTRIBUTE.match(self._text, self._at)
            if begin is None:
                raise self._no_attribute(element, at)
            name = begin[1]
            self._at = begin.end()
            place, value_place = self._place(begin.start(1)), self._place(self._at)
            attribute = Attribute(name, self._value(begin[2]), *place, *value_place)
            if name in found:
                first = found[name]
                mend = f"it stands at {first.line}:{first.column} already"
                self._pass_over(_Fault(begin.start(1), f"the attribute {name} is written twice", mend))
            found.setdefault(name, attribute)
        self._at = end.end()
        return tuple(found.values())

    def _no_attribute(self, element: str, tag: int) -> _Fault:
        """Why the next thing in a tag is no attribute."""
        at = self._blank_end(self._at)
        if at == len(self._text):
            return _Fault(tag, f"the tag <{element}> is not closed", "add >")
        if not (name := _NAME.match(self._text, at)):
            return _Fault(at, "this is neither an attribute nor the end of the tag", "remove it, or add > before it")
        if at == self._at:
            return _Fault(at, "a blank is missing here", "attributes are separated by blanks")
        return _Fault(at, f"the attribute {name[0]} has no value in quotes", f'write {name[0]}="…"')

    def _value(self, quote: str) -> str:
        """Up to and with the quote that ends an attribute."""
        start = self._at
        if expression := _EXPRESSION.match(self._text, start):
            end = _end_of_expression(self._text, expression.start(1))
            rest = _AFTER_EXPRESSION[quote].match(self._text, end)
            if rest is None:
                raise _Fault(end, "something follows the expression", f"end the value here, with {quote}")
            value = self._text[start : rest.end()]
        else:
            rest = _VALUES[quote].match(self._text, start)
            if rest is None:
                raise _Fault(start, "this value is not closed", f"add {quote}; write &lt; for the character <")
            value = self._decoded(start, rest.end())
        self._at = rest.end() + 1
        return value

    def _characters(self) -> None:
        start, element = self._at, self._open[-1]
        expression = _EXPRESSION.match(self._text, start)
        if expression and element.text_at < 0:
            self._at = _end_of_expression(self._text, expression.start(1))
            self._add(self._text[start : self._at], start)
            return
        self._at = _end_of(_TEXT, self._text, start)
        self._add(self._decoded(start, self._at), start)

    def _add(self, text: str, start: int) -> None:
        element, begin = self._open[-1], self._blank_end(start)
        if element.text_at < 0 and text.strip():
            element.text_at = begin
        if len(self._open) == 1 and element.text_at >= 0:
            raise _Fault(begin, "text stands outside of the elements", "remove it, or put it in a comment <!-- … -->")
        element.text.append(text)

    def _decoded(self, start: int, end: int) -> str:
        parts: list[str] = []
        for reference in _REFERENCE.finditer(self._text, start, end):
            parts += (self._text[start : reference.start()], self._character(reference))
            start = reference.end()
        return "".join([*parts, self._text[start:end]])

    def _character(self, reference: re.Match[str]) -> str:
        name, ten, sixteen = reference.group("name", "ten", "hex")
        if name:
            return _ENTITIES[name]
        number = int(ten) if ten else int(sixteen or "0", 16)
        if number > 0x10FFFF or _ILLEGAL.match(chr(number)):
            mend = "write &amp; for the character &; beyond lt, gt, amp, quot and apos, entities are not processed"
            self._pass_over(_Fault(reference.start(), "this & begins nothing that can be read", mend))
            return reference[0]
        return chr(number)

    def _blank_end(self, start: int) -> int:
        return _end_of(_BLANK, self._text, start)

    def _close(self, name: str, at: int) -> None:
        element = self._open[-1]
        if element.name != name:
            mend = f"add </{element.name}> before it" if element.name else "remove it"
            raise _Fault(at, f"no <{name}> is open that ends here", mend)
        self._open.pop()
        place = self._place(element.offset)
        text_place = self._place(element.text_at) if element.text_at >= 0 else place
        text = "".join(element.text)
        node = Node(name, element.attributes, tuple(element.children), text, *place, *text_place)
        self._open[-1].children.append(node)


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    """Where what `pattern` finds at `start` ends."""
    found = pattern.match(text, start)
    return found.end() if found else start


def _end_of_expression(text: str, at: int) -> int:
    """The offset after the expression whose @ stands at `at`. Raises _Fault.

    What is open is kept with its offset and with what ends it: the closing bracket, or the pattern for a string.
    """
    opened: list[tuple[int, str | re.Pattern[str]]] = [(at + 1, _CLOSERS[text[at + 1]])]
    at += 2
    while opened:
        start, end = opened[-1]
        if len(opened) > MAX_BRACKETS:
            raise _Fault(start, f"nested deeper than {MAX_BRACKETS} levels in this expression", "simplify it")
        if isinstance(end, str):
            at = _pass_code(text, at, opened, end)
            continue
        found = end.search(text, at)
        if found is None:
            raise _Fault(start, "this string is not closed", "add the quote that ends it")
        at = found.end()
        if found.lastgroup == "hole":
            opened.append((found.start(), "}"))
        elif found.lastgroup == "end":
            opened.pop()
    return at


def _pass_code(text: str, at: int, opened: list[tuple[int, str | re.Pattern[str]]], closer: str) -> int:
    """The offset after the next mark that matters. Opens and closes what it says. Raises _Fault."""
    start = opened[-1][0]
    found = _CODE.search(text, at)
    if found is None:
        raise _Fault(start, f"{text[start]} is not closed in this expression", f"add {closer}")
    mark = found[0]
    if mark in _STRINGS:
        opened.append((found.start(), _STRINGS[mark]))
    elif mark in _CLOSERS:
        opened.append((found.start(), _CLOSERS[mark]))
    elif mark == "//":
        return _end_of(_LINE, text, found.end())
    elif mark == "/*":
        end = text.find("*/", found.end())
        if end < 0:
            raise _Fault(found.start(), "this comment is not closed", "add */")
        return end + 2
    elif mark == closer:
        opened.pop()
    else:
        raise _Fault(found.start(), f"{mark} stands where {closer} is expected", "close the brackets in order")
    return found.end()
