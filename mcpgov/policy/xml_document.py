"""From the tree of an API Management file to the plain value that a YAML document gives, with the place of everything.

The classes of elements say where each of their attributes stands in XML, so both syntaxes load through the same code.
Nothing is dropped: what no attribute claims stays in the mapping under its own name, where the loader refuses it. What
has no mapping to stay in (a section is a list), and what stands twice where one is meant, is refused here.

Text is read without the blanks around it. Refuses to know what a value means.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Final

from mcpgov.errors import InvalidConfiguration, Problem
from mcpgov.frozen import frozen
from mcpgov.policy.apim_xml import POLICIES, Node, parse_xml
from mcpgov.policy.element import SECTIONS
from mcpgov.yaml_source import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mcpgov.models import Json
    from mcpgov.policy.apim_xml import Attribute as Written
    from mcpgov.policy.place import Attribute, Loadable
    from mcpgov.yaml_source import Path

BASE: Final = "base"
FRAGMENT: Final = "fragment"
ID: Final = "id"
TEXT: Final = "(text)"  # the name of text that nothing claims; no attribute can have it
_Position = tuple[int, int]


def read_xml(text: str, file: str, elements: Mapping[str, Loadable]) -> Source:
    """The policies, sections or fragment in `text`. `file` is only for messages. Raises InvalidConfiguration."""
    reading = _Reading(file, elements)
    value = reading.document(parse_xml(text, file))
    if reading.problems:
        raise InvalidConfiguration(tuple(reading.problems))
    return Source(file, value, reading.values, reading.keys)


@frozen
class _Claims:
    """Which attributes are read from an element. `here`: its `@x`, its text `.`, its elements `*`, its children of a
    name; `below`: from what stands inside its only child of a name.
    """

    here: dict[str, Attribute[object]] = field(default_factory=dict[str, "Attribute[object]"])
    below: dict[str, _Claims] = field(default_factory=dict[str, "_Claims"])

    @classmethod
    def of(cls, attributes: Iterable[Attribute[object]]) -> _Claims:
        """By where each attribute says it stands."""
        claims = cls()
        for attribute in attributes:
            *way, last = (attribute.xml or f"@{attribute.name}").split("/")
            at = claims
            for name in way:
                at = at.below.setdefault(name, cls())
            at.here[last] = attribute
        return claims


@frozen
class _Target:
    """The mapping that is filled, at `path`. Nothing but an attribute may have a name that is `taken`."""

    path: Path
    taken: frozenset[str]
    entries: dict[str, Json] = field(default_factory=dict[str, "Json"])


class _Reading:
    """The place of each value and key that is read, and what is wrong with them."""

    def __init__(self, file: str, elements: Mapping[str, Loadable]) -> None:
        self._file = file
        self._elements = elements
        self.values: dict[Path, _Position] = {}
        self.keys: dict[Path, _Position] = {}
        self.problems: list[Problem] = []

    def document(self, root: Node) -> Json:
        """The sections, or the fragment, by name; anything else by its own, which is refused later."""
        target = _Target((), frozenset((*SECTIONS, FRAGMENT)))
        self.values[()] = _position(root)
        if root.name == FRAGMENT:
            self._row(target, root)
        elif root.name == POLICIES:
            self._own(target, root, _Claims(), "")
            for child in root.children:
                self._section(target, child)
        else:
            self._section(target, root)
        return target.entries

    def _section(self, target: _Target, node: Node) -> None:
        if node.name not in SECTIONS:
            self._stray(target, node, "")
        elif node.name in target.entries:
            self._twice(node)
        else:
            self._row(target, node)

    def _row(self, target: _Target, node: Node) -> None:
        """A section or a fragment: elements, and nothing else."""
        self._nothing_but(node)
        self._list(target, node.name, node)
        for child in node.children:
            self._step(target, node.name, child)

    def _step(self, target: _Target, key: str, node: Node) -> None:
        """One element of the list under `key`."""
        steps, path = self._list(target, key, node)
        step = _Target(path, frozenset())
        self.values[path] = _position(node)
        self._put(step, node.name, {}, _position(node), _position(node))
        loadable = self._elements.get(node.name)
        if loadable is not None:
            step.entries[node.name] = self._mapping(node, loadable.attributes, (*path, node.name))
        elif node.name == BASE:
            step.entries[node.name] = self._mapping(node, (), (*path, node.name))
            self._nothing_but(node, ID)
            for child in node.children:
                self._note(_position(child), "nothing may stand inside <base>", "move it out")
        steps.append(step.entries)

    def _mapping(self, node: Node, attributes: tuple[Attribute[object], ...], path: Path) -> Json:
        target = _Target(path, frozenset(attribute.name for attribute in attributes))
        self._fill(target, node, _Claims.of(attributes), "")
        return target.entries

    def _fill(self, target: _Target, node: Node, claims: _Claims, way: str) -> None:
        """Everything that stands in `node`. `way` leads to it from the element that `target` is read from."""
        self._own(target, node, claims, way)
        steps = claims.here.get("*")
        if steps:
            self._list(target, steps.name, node)  # also where there are none
        met: set[str] = set()
        for child in node.children:
            if below := claims.below.get(child.name):
                if child.name in met:
                    self._twice(child)
                met.add(child.name)
                self._fill(target, child, below, f"{way}{child.name}/")
            elif attribute := claims.here.get(child.name):
                self._claimed(target, attribute, child, f"{way}{child.name}/")
            elif steps:
                self._step(target, steps.name, child)
            else:
                self._stray(target, child, way)

    def _own(self, target: _Target, node: Node, claims: _Claims, way: str) -> None:
        """The attributes and the text of `node`."""
        for written in node.attributes:
            if attribute := claims.here.get(f"@{written.name}"):
                self._put_written(target, attribute.name, written)
            else:
                self._stray(target, written, way)
        text, attribute = node.text.strip(), claims.here.get(".")
        if attribute and (text or attribute.is_required):
            self._put(target, attribute.name, text, _position(node), _text_position(node))
        elif text:
            self._put(target, way + TEXT, text, _text_position(node), _text_position(node))

    def _claimed(self, target: _Target, attribute: Attribute[object], node: Node, way: str) -> None:
        """A child that is the value of an attribute, or one of its values."""
        if attribute.fields:
            items, path = self._list(target, attribute.name, node)
            self.values[path] = _position(node)
            items.append(self._mapping(node, attribute.fields, path))
            return
        if _is_list(attribute):
            items, path = self._list(target, attribute.name, node)
            self.values[path] = _text_position(node)
            items.append(node.text.strip())
        elif attribute.name in target.entries:
            self._twice(node)
        else:
            self._put(target, attribute.name, node.text.strip(), _position(node), _text_position(node))
        for stray in (*node.attributes, *node.children):
            self._stray(target, stray, way)

    def _stray(self, target: _Target, thing: Written | Node, way: str) -> None:
        """What nothing claims, under its own name, or under one that nothing else can have."""
        taken = way or thing.name in target.taken
        if isinstance(thing, Node):
            key = f"{way}<{thing.name}>" if taken or thing.name == ID else thing.name
            self._put(target, key, {}, _position(thing), _position(thing))
        else:
            key = f"{way}@{thing.name}" if taken else thing.name
            self._put_written(target, key, thing)

    def _list(self, target: _Target, key: str, node: Node) -> tuple[list[Json], Path]:
        """The list under `key`, which begins at `node`; and the path of the next item."""
        items = target.entries.get(key)
        if isinstance(items, list):
            return items, (*target.path, key, len(items))
        begun: list[Json] = []
        self._put(target, key, begun, _position(node), _position(node))
        return begun, (*target.path, key, 0)

    def _put_written(self, target: _Target, key: str, written: Written) -> None:
        value_position = (written.value_line, written.value_column)
        self._put(target, key, written.value, (written.line, written.column), value_position)

    def _put(self, target: _Target, key: str, value: Json, position: _Position, value_position: _Position) -> None:
        target.entries[key] = value
        self.keys[*target.path, key] = position
        self.values[*target.path, key] = value_position

    def _nothing_but(self, node: Node, *attributes: str) -> None:
        """Note attributes beside these, and text, of an element whose attributes and text no mapping holds."""
        for written in node.attributes:
            if written.name not in attributes:
                self._note(
                    (written.line, written.column), f"<{node.name}> has no attribute {written.name}", "remove it"
                )
        if node.text.strip():
            mend = "remove it, or put it in a comment <!-- … -->"
            self._note(_text_position(node), f"text stands in <{node.name}>", mend)

    def _twice(self, node: Node) -> None:
        self._note(_position(node), f"<{node.name}> stands here a second time", "keep one of them")

    def _note(self, position: _Position, message: str, mend: str) -> None:
        self.problems.append(Problem(self._file, *position, message, mend))


def _is_list(attribute: Attribute[object]) -> bool:
    """Whether the attribute may be a list of texts."""
    schema = attribute.schema()
    alternatives = schema.get("anyOf")
    every = [schema, *alternatives] if isinstance(alternatives, list) else [schema]
    return any(isinstance(one, dict) and one.get("type") == "array" for one in every)


def _position(node: Node) -> _Position:
    return node.line, node.column


def _text_position(node: Node) -> _Position:
    return node.text_line, node.text_column
