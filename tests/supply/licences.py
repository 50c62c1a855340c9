"""Under which licences the packages are that mcpgov needs to run: by our table, and by their own word.

Rules: requirements/licences.toml names one SPDX expression for each locked package; every licence in it is an allowed
one. A package that is installed has to say the same of itself. Refuses to know: what a licence asks for.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Final

from tests.supply.locks import ROOT, Pin

# How packages that do not speak SPDX yet name the licences of the table.
WORDS: Final[Mapping[str, str]] = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


@dataclass(frozen=True, slots=True)
class Licences:
    """The table."""

    allowed: frozenset[str]
    packages: Mapping[str, str]


def licences() -> Licences:
    """The table in requirements/licences.toml."""
    table = tomllib.loads((ROOT / "requirements" / "licences.toml").read_text("utf-8"))
    return Licences(frozenset(table["allowed"]), table["packages"])


def named(expression: str) -> set[str]:
    """The licences in an SPDX expression (SPDX 3.0, annex on licence expressions)."""
    return set(re.split(r"[()\s]+(?:AND|OR)[()\s]+|[()]+", expression)) - {""}


def declared(package: Distribution) -> set[str]:
    """The licences that a package says it is under: by expression (PEP 639), by classifier, or by a word."""
    for expression in said(package, "License-Expression"):
        return named(expression)
    classifiers = said(package, "Classifier")
    words = [text.rpartition(" :: ")[2] for text in classifiers if text.startswith("License :: OSI Approved :: ")]
    words = words or said(package, "License")
    return {WORDS.get(word, word) for word in words}


def said(package: Distribution, field: str) -> list[str]:
    """Every value that a field of the metadata has."""
    return [str(value) for value in package.metadata.get_all(field) or ()]


def faults(locked: list[Pin], table: Licences) -> Iterator[str]:
    """What is locked and not in the table, in it and not locked, not allowed, or not what the package says itself."""
    names = {pin.name for pin in locked}
    yield from (f"{name} is in the table of licences, and not locked" for name in sorted(table.packages.keys() - names))
    for name in sorted(names):
        expression = table.packages.get(name, "")
        if not expression:
            yield f"{name} is not in the table of licences: add it to requirements/licences.toml"
        yield from (f"{name} is under {licence}, which is not allowed" for licence in named(expression) - table.allowed)
        own = said_by(name)
        if own and expression and own != named(expression):
            yield f"{name} says that it is under {' and '.join(sorted(own))}, and the table says {expression}"


def said_by(name: str) -> set[str]:
    """The licences that the installed package declares; none where it is not installed (it is for another system)."""
    try:
        return declared(distribution(name))
    except PackageNotFoundError:
        return set()
