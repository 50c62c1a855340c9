"""What a stranger wrote for a header or a variable, as a file of ours may hold it. Pure.

Rules: no import writes a reference that somebody else chose. `${env:AWS_SECRET_KEY}`, a file, a secret of a vault
or `os.environ/NAME` in what was imported would be resolved when the gateway loads the file, and sent to the stranger's
URL before anybody looked at it. What is written names only `MCP_<CONNECTION>_<NAME>`, with a line about what of the
original it stands for, so that whoever sets it does so knowingly. A literal is escaped after everything in it was put
together: two harmless halves make a reference. Refuses to know: where a value comes from.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mcpgov.catalog.foreign_wishes import eased, permitted, started
from mcpgov.catalog.withheld import is_public, reference, scheme_before
from mcpgov.credential.references import Unfit, has_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mcpgov.models import Json

    Document = dict[str, Json]

LITELLM: Final = "os.environ/"
_ORIGINAL: Final = re.compile(r"\$\{[^{}$]*+\}|os\.environ/[A-Za-z0-9_]*+")


def put_together(name: str, pieces: Iterable[tuple[str, str]]) -> str:
    """One value of literals, and of references of ours, each with what it stands for.

    Raises Unfit where no file can hold it.
    """
    made, literal = "", ""
    for text, stands_for in (*pieces, ("", "the end")):
        if not stands_for:
            literal += text
            continue
        if text and literal.endswith("$"):  # which would make a plain text of our reference
            raise Unfit(f"has a $ before the secret in {name}, which no file can hold", "write its file yourself")
        made, literal = made + literal.replace("${", "$${") + text, ""
    if LITELLM in made:
        said = f"has {LITELLM} in {name}, which would be read as a variable of this machine"
        raise Unfit(said, f"say --var {name}=VALUE")
    return made


def taken_over(connection: str, name: str, value: str, told: list[str]) -> str:
    """The value of a header or variable: as it is where it can be no secret, else a reference of ours, told."""
    mine = reference(connection, name)
    if not has_reference(value):
        if is_public(name, value):
            return value
        told.append(f"{name} held a literal value, which may be a secret: {mine} stands in its place")
        return mine
    scheme = scheme_before(value)
    found = [match[0] for match in _ORIGINAL.finditer(value)]
    alone = found == [value.removeprefix(scheme)]
    made = f"{scheme}{mine}" if alone else mine
    if made != value:
        shown = ", ".join(dict.fromkeys(map(_shown, found))) or "what cannot be read"
        variable = mine.removeprefix("${env:").removesuffix("}")
        what = f"{shown} of {name}" if alone else f"the whole value of {name}, in which {shown} stood"
        told.append(f"{variable} stands for {what}{_default(found)}")
    return made


def _shown(original: str) -> str:
    """A reference without its default, which may be a secret."""
    before, default, _ = original.partition(":-")
    return f"{before}}}" if default else original


def _default(found: Iterable[str]) -> str:
    return ", whose default was left out" if any(":-" in one for one in found) else ""


def all_taken_over(document: Document, *, tokens: bool = False) -> tuple[Document, tuple[str, ...]]:
    """An entry that somebody else wrote, none of whose references is theirs, and what is to be known of it.

    Raises Unfit where it sends `tokens` and may not, or starts a program with what is not taken over.
    """
    made, told = dict(document), list[str]()
    connections = made.get("connections")
    named = connections if isinstance(connections, dict) else {}
    if isinstance(env := made.get("env"), dict):
        made["env"] = _values(next(iter(named), "local"), env, told)
    if named:
        made["connections"] = {
            name: _connection(name, one, told) if isinstance(one, dict) else one for name, one in named.items()
        }
    return made, (*started(made), *told, *permitted(made, tokens=tokens), *eased(made))


def _connection(name: str, connection: Document, told: list[str]) -> Document:
    made = dict(connection)
    if isinstance(keys := made.get("keys"), dict):
        made["keys"] = _values(name, keys, told)
    if isinstance(oauth := made.get("oauth"), dict) and "clientSecret" in oauth:
        made["oauth"] = {**oauth, **_values(name, {"clientSecret": oauth["clientSecret"]}, told)}
    return made


def _values(connection: str, values: Mapping[str, Json], told: list[str]) -> Document:
    return {
        name: taken_over(connection, name, value, told) if isinstance(value, str) else value
        for name, value in values.items()
    }
