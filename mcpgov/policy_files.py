"""From the files of the policies folder to documents: first every file is read, then each policy with its fragments.

What a document draws in from elsewhere (named values, secrets) comes through PolicyReferences; nothing else does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from mcpgov.credential.references import Unfit, resolve
from mcpgov.errors import InvalidConfiguration
from mcpgov.frozen import frozen
from mcpgov.models import Secret
from mcpgov.policy.dialects import Yaml
from mcpgov.policy.document import dialect_of, load_document, misnamed, name_of, read_document
from mcpgov.policy.elements.include_fragment import ROOT
from mcpgov.policy.place import Fragment, Place, Reading
from mcpgov.policy.registry import ELEMENTS
from mcpgov.yaml_source import Source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mcpgov.credential.references import Lookup
    from mcpgov.errors import Problem
    from mcpgov.policy.document import Parsed, PolicyDocument
    from mcpgov.policy.expression import References

T = TypeVar("T")

_SECRET: Final = Secret("0" * 44)  # not looked into, but as long as a key, in base64
# A number and text, a secret, a URL, an id.
GIVEN: Final = ("1", _SECRET, "https://value.example", "00000000-0000-0000-0000-000000000000")


@frozen
class PolicyReferences:
    """The named values of the settings, and the environment and files that references name.

    `drawn` collects every secret that a policy drew in, so that explanations can leave it out.
    """

    values: Mapping[str, str | Secret]
    lookup: Lookup
    drawn: list[Secret] = field(default_factory=list["Secret"], repr=False)

    def named(self, name: str) -> str | Secret | None:
        """A named value; None where there is none of that name."""
        value = self.values.get(name)
        if isinstance(value, Secret):
            self.drawn.append(value)
        return value

    def resolve(self, reference: str) -> Secret:
        """What `${env:…}` or `${file:…}` stands for. Raises ValueError."""
        try:
            secret = resolve(reference, self.lookup)
        except Unfit as unfit:
            raise ValueError(str(unfit)) from None
        self.drawn.append(secret)
        return secret


@frozen
class PolicyFiles:
    """What the files hold: policies by name, the names of fragments, and everything that is wrong in any of them."""

    documents: Mapping[str, PolicyDocument]
    fragments: frozenset[str]
    problems: tuple[Problem, ...]


def load_policies(texts: Mapping[Path, str], references: References) -> PolicyFiles:
    """Every file that can be read; one bad file does not hide the next."""
    linted = tuple(lint_policies(texts, references))
    names = [problem for file in linted if (problem := file.misnamed)]
    return PolicyFiles(
        {file.document.name: file.document for file in linted if file.document is not None},
        frozenset(file.name for file in linted if file.is_fragment),
        tuple(dict.fromkeys([*names, *(problem for file in linted for problem in file.problems)])),
    )


@frozen
class Linted:
    """One file: what it holds, if it loads, and what is wrong with it. `misnamed`: it only loads under another name.

    `remarks` say what API Management would do otherwise. `given`: what the file draws in from elsewhere, where that was
    taken as given.
    """

    file: str
    name: str
    is_fragment: bool
    document: PolicyDocument | None
    problems: tuple[Problem, ...] = ()
    misnamed: Problem | None = None
    remarks: tuple[Problem, ...] = ()
    given: tuple[str, ...] = ()


@dataclass(slots=True)
class Given:
    """Named values, references and fragments of which only the name is known; each named value is `value`.

    `taken` are the names that were asked for.
    """

    value: str | Secret
    taken: list[str] = field(default_factory=list[str])

    def named(self, name: str) -> str | Secret | None:
        """Some text."""
        self.taken.append(f"{{{{{name}}}}}")
        return self.value

    def resolve(self, reference: str) -> Secret:
        """Some text. Never raises."""
        self.taken.append(reference)
        return _SECRET

    def fragment(self, name: str) -> Fragment:
        """A fragment that does nothing."""
        self.taken.append(f"the fragment {name}")
        return Fragment(Source(name, {ROOT: []}, {}, {}), Yaml(self), "")


@frozen
class _Fragments(Mapping[str, Fragment]):
    """Those that there are, and one that does nothing for every other name."""

    known: Mapping[str, Fragment]
    given: Given

    def __getitem__(self, name: str) -> Fragment:
        return self.known[name] if name in self.known else self.given.fragment(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.known)

    def __len__(self) -> int:
        return len(self.known)


def lint_alone(texts: Mapping[Path, str]) -> tuple[Linted, ...]:
    """Each file, what it draws in from elsewhere taken as given.

    What a named value holds is not known, so a file is judged with the one of GIVEN that it has the least against.
    """
    tries = [tuple(lint_policies(texts, given, given)) for given in map(Given, GIVEN)]
    return tuple(min(tried, key=lambda linted: len(linted.problems)) for tried in zip(*tries, strict=True))


def lint_policies(texts: Mapping[Path, str], references: References, given: Given | None = None) -> Iterator[Linted]:
    """Each file by itself, with the fragments of all of them; with `given`, those that are not there do nothing."""
    problems: dict[Path, list[Problem]] = {place: [] for place in texts}
    parsed = {place: _take(partial(read_document, text, str(place)), problems[place]) for place, text in texts.items()}
    known = {file.name: file.fragment(references) for file in parsed.values() if file is not None and file.is_fragment}
    fragments = _Fragments(known, given) if given else known
    for place, file in parsed.items():
        wrong, linted = problems[place], Linted(str(place), name_of(str(place)), is_fragment=False, document=None)
        if file is None:
            yield replace(linted, problems=tuple(wrong))
            continue
        if file.is_fragment:
            reading = _read_fragment(file, references, fragments)
            document, remarks = None, tuple(reading.remarks)
            wrong += reading.problems
        else:
            document = _take(partial(load_document, file, references, fragments), wrong)
            remarks = document.remarks if document else ()
        yield replace(
            linted,
            is_fragment=file.is_fragment,
            document=document,
            problems=tuple(wrong),
            misnamed=misnamed(file),
            remarks=remarks,
            given=_drained(given),
        )


def _read_fragment(file: Parsed, references: References, fragments: Mapping[str, Fragment]) -> Reading:
    """What is wrong with a fragment wherever it stands; a document that includes it reads it again for its section."""
    reading = Reading(ELEMENTS, fragments)
    root = Place(
        file.source, (), file.source.value, dialect_of(file, references), reading, "", f"{file.name}#", (file.name,)
    )
    for key in root.value if isinstance(root.value, dict) else ():
        if key != ROOT:
            root.at(key).note(f"there is no key {key} beside {ROOT}", "remove it", at_key=True)
    root.steps(ROOT)
    return reading


def _drained(given: Given | None) -> tuple[str, ...]:
    taken = tuple(dict.fromkeys(given.taken)) if given else ()
    if given:
        given.taken.clear()
    return taken


def _take(parse: Callable[[], T], problems: list[Problem]) -> T | None:
    """What `parse` returns; None, its problems kept, when it raises InvalidConfiguration."""
    try:
        return parse()
    except InvalidConfiguration as invalid:
        problems.extend(invalid.problems)
        return None
