"""Which values of an entry leave the house as they are written, and which as a reference that has to be filled in.

Pure. Rules: a literal in `keys`, `env` or `clientSecret` is taken for a secret, unless it is one of few words that can
be none; a reference stays a reference, which says where a secret is and not what. A text around a reference counts as
a literal, but for the name of a scheme (`Bearer`). Refuses to know: who asks, and what is done with the rest.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mcpgov.models import Json

PREFIX: Final = "MCP"
REFERENCE: Final = re.compile(r"\$\{(?:env|file|secret):[^{}]+\}")
_ENVIRONMENT: Final = re.compile(r"\$\$\{|\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")  # $${ is a plain ${
_LITELLM: Final = re.compile(r"os\.environ/[A-Za-z_][A-Za-z0-9_]*")
_SCHEMES: Final = frozenset({"", "bearer", "basic", "token", "apikey", "api-key", "key"})
_PLAIN_WORD: Final = re.compile(
    r"true|false|on|off|yes|no|debug|info|warning|warn|error|production|staging|development|[0-9]{1,5}", re.IGNORECASE
)
# Headers whose values steer a server and open none.
_NO_SECRET: Final = frozenset({"foundry-features", "x-mcp-toolsets", "x-mcp-readonly", "x-mcp-tools", "user-agent"})
_SECRET_NAME: Final = re.compile(
    r"auth|bearer|cookie|credential|key|passw|pwd|secret|sig(?:nature)?$|token|code$|sas", re.IGNORECASE
)


def is_public(name: str, value: str) -> bool:
    """Whether the value of a header or variable can be no secret, or names none but by reference."""
    if _LITELLM.fullmatch(value):
        return True
    rest = REFERENCE.sub("", value).strip()
    if rest.lower() in _SCHEMES:
        return rest != value.strip()  # "Bearer" alone is a secret that somebody forgot, or a bad joke
    return _PLAIN_WORD.fullmatch(rest) is not None or name.lower() in _NO_SECRET


def scheme_before(value: str) -> str:
    """The name of a scheme that a value begins with, and the blank behind it; empty where there is none."""
    scheme, blank, _ = value.partition(" ")
    return scheme + blank if scheme and blank and scheme.lower() in _SCHEMES else ""


def names_a_secret(name: str) -> bool:
    """Whether something that is called `name` usually holds one: a parameter of a URL, an option of a command."""
    return _SECRET_NAME.search(name) is not None


def reference(*names: str) -> str:
    """A reference to a variable of the environment that is called after what it is for.

    Names come from strangers: without a prefix a server `aws` with a header Secret-Access-Key would be sent ours.
    """
    return f"${{env:{variable(PREFIX, *names)}}}"


def variable(*names: str) -> str:
    """The name of a variable of the environment, made of these."""
    made = re.sub(r"[^A-Z0-9]+", "_", "_".join(names).upper()).strip("_") or "SECRET"
    return made if made[0].isalpha() else f"V_{made}"


def variables(value: Json) -> Iterator[str]:
    """The variables of the environment that a value names, each once, in order."""
    found: dict[str, None] = {}
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            found |= dict.fromkeys(filter(None, _ENVIRONMENT.findall(one)))
        elif isinstance(one, list):
            stack += reversed(one)
        elif isinstance(one, dict):
            stack += reversed(one.values())
    yield from found


def without_literals(document: Mapping[str, Json]) -> tuple[dict[str, Json], tuple[str, ...]]:
    """An entry's document with a reference for each literal that may be a secret, and a line about each."""
    made, told = dict(document), list[str]()
    if isinstance(env := made.get("env"), dict):
        made["env"] = _referenced(env, _last(document), "env", told)
    if isinstance(connections := made.get("connections"), dict):
        made["connections"] = {
            name: _of_connection(name, one, told) if isinstance(one, dict) else one for name, one in connections.items()
        }
    return made, tuple(told)


def _of_connection(name: str, connection: dict[str, Json], told: list[str]) -> dict[str, Json]:
    made = dict(connection)
    if isinstance(keys := made.get("keys"), dict):
        made["keys"] = _referenced(keys, name, f"connections.{name}.keys", told)
    if isinstance(oauth := made.get("oauth"), dict) and "clientSecret" in oauth:
        secret = {"clientSecret": oauth["clientSecret"]}
        kept = cast("dict[str, Json]", _referenced(secret, name, f"connections.{name}.oauth", told))
        made["oauth"] = {**oauth, **kept}
    return made


def _referenced(values: dict[str, Json], owner: str, at: str, told: list[str]) -> Json:
    made: dict[str, Json] = {}
    for name, value in values.items():
        made[name] = value
        if isinstance(value, str) and not is_public(name, value):
            made[name] = reference(owner, name)
            told.append(f"{at}.{name} holds a secret: {made[name]} stands in its place")
    return made


def _last(document: Mapping[str, Json]) -> str:
    """What a server is called without its namespace."""
    return str(document.get("name", "")).rpartition("/")[2]
