"""From the files of the policies folder to documents: first every file is read, then each policy with its fragments.

What a document draws in from elsewhere (named values, secrets) comes through PolicyReferences; nothing else does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from mcpgov.credential.references import Unfit, resolve
from mcpgov.errors import InvalidConfiguration
from mcpgov.models import Secret
from mcpgov.policy.document import load_document, misnamed, name_of, read_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from mcpgov.credential.references import Lookup
    from mcpgov.errors import Problem
    from mcpgov.policy.document import PolicyDocument
    from mcpgov.policy.expression import References

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Linted:
    """One file: what it holds, if it loads, and what is wrong with it. `misnamed`: it only loads under another name."""

    file: str
    name: str
    is_fragment: bool
    document: PolicyDocument | None
    problems: tuple[Problem, ...] = ()
    misnamed: Problem | None = None


def lint_policies(texts: Mapping[Path, str], references: References) -> Iterator[Linted]:
    """Each file by itself, with the fragments of all of them."""
    problems: dict[Path, list[Problem]] = {place: [] for place in texts}
    parsed = {
        place: _take(partial(read_document, text, str(place)), problems[place]) for place, text in texts.items()
    }
    fragments = {
        file.name: file.fragment(references) for file in parsed.values() if file is not None and file.is_fragment
    }
    for place, file in parsed.items():
        name = name_of(str(place))
        if file is None or file.is_fragment:
            yield Linted(str(place), name, file is not None, None, tuple(problems[place]), file and misnamed(file))
        else:
            document = _take(partial(load_document, file, references, fragments), problems[place])
            yield Linted(
                str(place), name, is_fragment=False, document=document, problems=tuple(problems[place]), misnamed=misnamed(file)
            )


def _take(parse: Callable[[], T], problems: list[Problem]) -> T | None:
    """What `parse` returns; None, its problems kept, when it raises InvalidConfiguration."""
    try:
        return parse()
    except InvalidConfiguration as invalid:
        problems.extend(invalid.problems)
        return None
