"""From one policy file to a PolicyDocument: its sections, loaded from YAML or from API Management's XML alike.

A document has the sections inbound, backend, outbound and on-error. Everything wrong in it is told at once, with its
place; an element that does not exist here is refused by name, never skipped. In XML `<base/>` says where the broader
scopes run, and its absence drops them; in YAML they run first unless the document says `base: false`.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import field, replace
from typing import TYPE_CHECKING, Final

from mcpgov.errors import InvalidConfiguration, Problem
from mcpgov.frozen import frozen
from mcpgov.models import Secret
from mcpgov.policy.base import Base
from mcpgov.policy.dialects import Xml, Yaml
from mcpgov.policy.element import INBOUND, SECTIONS, Step
from mcpgov.policy.elements.include_fragment import ROOT
from mcpgov.policy.expression import NO_REFERENCES, References
from mcpgov.policy.place import Fragment, Place, Reading
from mcpgov.policy.registry import ELEMENTS
from mcpgov.policy.report import Report
from mcpgov.policy.xml_document import read_xml
from mcpgov.yaml_source import nearest, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.policy.place import Dialect
    from mcpgov.yaml_source import Source

ENFORCE: Final = "enforce"
REPORT: Final = "report"
BASE: Final = "base"
MODE: Final = "mode"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_FRAGMENT_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")  # what API Management's own fragments are called
_EXTENSION: Final = re.compile(r"\.(?:ya?ml|xml)")


@frozen
class PolicyDocument:
    """One file. `digest` is the SHA-256 over its text and over what it draws in: fragments and named values.

    A section that the file does not speak of is not in `sections`: the broader scopes run there. `remarks` say what API
    Management would do otherwise, and what is likely not meant.
    """

    name: str
    file: str
    digest: str
    mode: str
    sections: Mapping[str, tuple[Step, ...]]
    remarks: tuple[Problem, ...] = field(default=(), repr=False)


@frozen
class Parsed:
    """A file that could be read, whatever it says. Its steps are loaded when every fragment is known."""

    name: str
    text: str = field(repr=False)
    source: Source
    xml: bool

    @property
    def is_fragment(self) -> bool:
        """Whether other documents may include it."""
        return isinstance(self.source.value, dict) and ROOT in self.source.value

    def fragment(self, references: References) -> Fragment:
        """What is included."""
        return Fragment(self.source, dialect_of(self, references), digest_of(self.text))


def name_of(file: str) -> str:
    """The name that a file gives its policy or fragment."""
    return _EXTENSION.sub("", file.replace("\\", "/").rpartition("/")[2])


def read_document(text: str, file: str) -> Parsed:
    """The file, in the syntax that its name says. Raises InvalidConfiguration with every problem."""
    name, xml = name_of(file), file.endswith(".xml")
    source = read_xml(text, file, ELEMENTS) if xml else parse_yaml(text, file)
    if not isinstance(source.value, dict):
        mend = "write inbound: and the list of elements below it"
        raise InvalidConfiguration((source.problem((), "a document is a mapping with inbound:", mend),))
    return Parsed(name, text, source, xml)


def misnamed(parsed: Parsed) -> Problem | None:
    """What is wrong with the name that a file gives its policy, or its fragment."""
    if (_FRAGMENT_NAME if parsed.is_fragment else _NAME).fullmatch(parsed.name):
        return None
    what, mend = "policy", "use a-z 0-9 -, at most 63 characters"
    if parsed.is_fragment:
        what, mend = "fragment", "use A-Z a-z 0-9 _ -, at most 80 characters"
    return Problem(parsed.source.file, 0, 0, f"the file name gives the {what} the name {parsed.name}", mend)


def parse_document(
    text: str, file: str, references: References = NO_REFERENCES, fragments: Mapping[str, Fragment] | None = None
) -> PolicyDocument:
    """The policy document in `text`; its name is that of `file`. Raises InvalidConfiguration with every problem."""
    parsed = read_document(text, file)
    if problem := misnamed(parsed):
        raise InvalidConfiguration((problem,))
    return load_document(parsed, references, fragments or {})


def load_document(parsed: Parsed, references: References, fragments: Mapping[str, Fragment]) -> PolicyDocument:
    """The policy document that a file holds. Raises InvalidConfiguration with every problem."""
    noted = _Noted(references)
    reading = Reading(ELEMENTS, fragments)
    root = Place(parsed.source, (), parsed.source.value, dialect_of(parsed, noted), reading, INBOUND, f"{parsed.name}#")
    mode = _mode(root)
    _check_keys(root)
    base = mode == REPORT or parsed.xml or _base(root)
    sections = {section: _section(root, section, base=base) for section in SECTIONS if root.has(section)}
    for section in SECTIONS:
        root.items(section)  # notes what is no list
        if not base:
            sections.setdefault(section, ())
    if mode == REPORT:
        sections = {name: _reported(steps, parsed.source) for name, steps in sections.items()}
    if reading.problems:
        unique = dict.fromkeys(reading.problems)  # a fragment is read at each place that includes it
        raise InvalidConfiguration(tuple(sorted(unique, key=lambda problem: (problem.line, problem.column))))
    digest = digest_of(json.dumps([parsed.text, *reading.parts, *sorted(noted.plain)]))
    remarks = tuple(dict.fromkeys(reading.remarks))
    return PolicyDocument(parsed.name, parsed.source.file, digest, mode, sections, remarks)


def dialect_of(parsed: Parsed, references: References) -> Dialect:
    """How the expressions of a file are written."""
    return Xml(references) if parsed.xml else Yaml(references)


def digest_of(text: str) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _check_keys(root: Place) -> None:
    known = (BASE, MODE, *SECTIONS) if not root.dialect.xml else (MODE, *SECTIONS)
    keys = root.value.keys() if isinstance(root.value, dict) else set[str]()
    if ROOT in keys:
        root.at(ROOT).note("a fragment is included, it cannot stand in a scope", "name a policy", at_key=True)
        return
    for key in keys - set(known):
        root.at(key).note(f"there is no key {key} here", nearest(key, known), at_key=True)
    if not keys & set(SECTIONS):
        root.note("the document has no section", "add inbound: [ … ]; inbound: [] does nothing")


def _base(root: Place) -> bool:
    value = root.at(BASE).value
    if value is not None and not isinstance(value, bool):
        root.at(BASE).note("base must be true or false", "without quotes")
    return value is not False


def _mode(root: Place) -> str:
    value = root.at(MODE).value
    if value is not None and value not in (ENFORCE, REPORT):
        root.at(MODE).note("mode must be enforce or report")
    if value == REPORT and root.dialect.xml:
        root.at(MODE).remark("API Management has no mode, and refuses the attribute", at_key=True)
    return REPORT if value == REPORT else ENFORCE


def _section(root: Place, section: str, *, base: bool) -> tuple[Step, ...]:
    """The steps of a section, with a mark where the broader scopes run."""
    prefix = root.rule if section == INBOUND else f"{root.rule}{section}."
    mark = Step(Base(), f"{prefix}base", root.source.file, 0, 0)
    if not root.dialect.xml:
        steps = replace(root, section=section, rule=prefix).steps(section)
        return (mark, *steps) if base else steps
    steps_: list[Step] = []
    number = 0
    for item in root.items(section):
        if not (isinstance(item.value, dict) and BASE in item.value):
            number += 1
            steps_ += replace(item, section=section, rule=f"{prefix}{number}").step()
        elif mark in steps_:
            item.note("base stands here a second time", "keep one of them")
        else:
            steps_.append(mark)
    if mark not in steps_:
        root.at(section).remark("there is no <base />: the broader scopes do not run in this section", at_key=True)
    return tuple(steps_)


def _reported(steps: tuple[Step, ...], source: Source) -> tuple[Step, ...]:
    """The steps on both sides of the mark, each run without being enforced. What is not enforced drops nothing."""
    if not any(isinstance(step.element, Base) for step in steps):
        steps = (Step(Base(), "base (report)", source.file, 0, 0), *steps)
    at = next(number for number, step in enumerate(steps) if isinstance(step.element, Base))
    wrapped = [
        Step(Report(part), f"{part[0].rule} (report)", source.file, part[0].line, part[0].column) if part else None
        for part in (steps[:at], steps[at + 1 :])
    ]
    mark = steps[at : at + 1]
    return tuple(step for step in (wrapped[0], *mark, wrapped[1]) if step is not None)


@frozen
class _Noted(References):
    """References that remember which named values were drawn in, as far as they are no secrets."""

    inner: References
    plain: set[str] = field(default_factory=set[str])

    def named(self, name: str) -> str | Secret | None:
        """The named value."""
        value = self.inner.named(name)
        if isinstance(value, str):
            self.plain.add(f"{name}={value}")
        return value

    def resolve(self, reference: str) -> Secret:
        """What a reference stands for. Raises ValueError."""
        return self.inner.resolve(reference)
