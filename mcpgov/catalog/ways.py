"""How a server that a server.json describes is reached from here: which of its remotes or packages, which keys.

Pure. Rules: a remote over streamable HTTP comes first; a package, which starts a program on this machine, only where
somebody said so, in one certain version and without a shell. What a person would be asked for becomes a reference to a
variable of the environment where it may be a secret, and has to be given where it is part of a URL or of a command
line, which everybody can read. A literal secret is never taken over. Nothing is guessed: what does not fit is refused,
with what would make it fit.
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

from mcpgov.catalog.foreign_values import all_taken_over, put_together
from mcpgov.catalog.foreign_wishes import is_private, started
from mcpgov.catalog.urls import check_url
from mcpgov.catalog.withheld import PREFIX, is_public, reference, variable
from mcpgov.credential.references import Unfit, has_reference
from mcpgov.frozen import frozen
from mcpgov.models import AuthType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mcpgov.models import Json

    Document = dict[str, Json]

LONGEST_CONNECTION: Final = 63
NO_VERSION: Final = "0.0.0"  # of an entry that names none
_VARIABLE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_.-]*)\}")
_RUNTIMES: Final[Mapping[str, str]] = {"npm": "npx", "pypi": "uvx", "oci": "docker", "nuget": "dnx"}
# Where what starts a package fetches it from unless it is told otherwise, which nothing here does.
_REGISTRIES: Final[Mapping[str, tuple[str, ...]]] = {
    "npm": ("https://registry.npmjs.org",),
    "pypi": ("https://pypi.org", "https://pypi.org/simple"),
    "oci": ("https://docker.io",),
    "nuget": ("https://api.nuget.org", "https://api.nuget.org/v3/index.json"),
}
_ASKED: Final = ("value", "default", "valueHint", "choices", "format", "placeholder", "variables", "isSecret")


@frozen
class Choice:
    """What whoever adds a server says. `taken` are names of connections that are in use; `tokens`, that it may be sent
    tokens that mcpgov gets.
    """

    connection: str = ""
    private: bool = False
    local: bool = False
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    taken: frozenset[str] = frozenset()
    tokens: bool = False


@frozen
class Draft:
    """The keys and values of an entry's file, and what a person should know of them."""

    document: Document
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The server and its version."""
        return f"{self.document.get('name', '')} {self.document.get('version', NO_VERSION)}".strip()


def reached(document: Document, choice: Choice) -> Draft:
    """The entry with a way to its server, and one connection. Raises Unfit where there is none.

    An entry that has its way already, because we exported it, keeps it; but no reference that stands in it.
    """
    if "command" in document and not choice.local:
        raise Unfit("starts a program on this machine", "look at its command, then say --local")
    if is_private(document) and not choice.private:
        raise Unfit("leads to private addresses, or over plain http", "say --private if it may")
    if "upstream" in document or "command" in document:
        return Draft(*all_taken_over(document, tokens=choice.tokens))
    name = choice.connection or free_name(document, choice.taken)
    server = cast("Document", document.get("server", {}))
    refused: list[Unfit] = []
    for way in _ways(server, name, choice):
        try:
            made, notes = way.made()
        except Unfit as unfit:
            refused.append(unfit)
            continue
        kept = {key: value for key, value in document.items() if key != "server"}
        last: Document = {"server": server} if server else {}
        return Draft({**kept, **made, **last}, notes)
    if refused:
        raise refused[0]
    raise Unfit("has neither a remote nor a package", "write upstream: or command: into a file of your own")


def free_name(document: Document, taken: frozenset[str]) -> str:
    """A name for the connection, made of the server's, that nobody has."""
    namespace, _, last = str(document.get("name", "")).partition("/")
    short, owner = slug(last), slug(namespace.rpartition(".")[2], "")
    version = slug(str(document.get("version", "")), "")
    wanted = [(short,), *([(owner, short)] if owner else ()), *([(short, version)] if version else ())]
    wanted += [(owner, short, version)] if owner and version else []
    named = ("-".join(parts)[:LONGEST_CONNECTION].rstrip("-") for parts in wanted)
    numbered = (f"{short[:50]}-{number}" for number in range(2, 10_000))
    return next(name for name in (*named, *numbered) if name not in taken)


def slug(text: str, otherwise: str = "server") -> str:
    """A text as the name of a connection or a file; `otherwise` where nothing is left of it."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or otherwise


@frozen
class _Way:
    """One remote or package, and the connection that it is to be reached under."""

    part: Document
    connection: str
    choice: Choice

    def made(self) -> tuple[Document, tuple[str, ...]]:
        """The keys of the entry, and notes. Raises Unfit."""
        return self._of_package() if "registryType" in self.part else self._of_remote()

    def _of_remote(self) -> tuple[Document, tuple[str, ...]]:
        if self.part["type"] != "streamable-http":
            raise Unfit(
                "is reached over SSE of 2024-11-05, which mcpgov does not speak", "name its streamable HTTP URL"
            )
        url = self._filled(str(self.part["url"]), _mapping(self.part.get("variables")), "its URL")
        check_url(url, private=self.choice.private)
        keys, notes = self._values(_list(self.part.get("headers")))
        made: Document = {"upstream": url}
        made |= {"private": True} if self.choice.private else {}
        said: Document = {"authType": AuthType.CUSTOM_KEYS.value, "keys": keys} if keys else {"authType": "None"}
        return {**made, "connections": {self.connection: said}}, notes

    def _of_package(self) -> tuple[Document, tuple[str, ...]]:
        kind, transport = str(self.part["registryType"]), _mapping(self.part.get("transport"))
        if kind not in _RUNTIMES or self.part.get("runtimeHint", _RUNTIMES[kind]) != _RUNTIMES[kind]:
            raise Unfit(f"is a package of {kind}, which mcpgov does not start", "install it, and write command:")
        if transport.get("type") != "stdio":
            raise Unfit("runs as a server of its own", "start it, and name its URL as upstream with private: true")
        if not self.choice.local:
            raise Unfit(f"is a package of {kind}, and would be started on this machine", "say --local if it may be")
        self._check_registry(kind)
        env, notes = self._values(_list(self.part.get("environmentVariables")))
        command = list(self._command(kind, tuple(env)))
        words: list[Json] = [*command]
        made: Document = {"command": words}
        made |= {"env": env} if env else {}
        return {**made, "connections": {self.connection: {}}}, (*started(made), *notes)

    def _command(self, kind: str, variables: tuple[str, ...]) -> Iterator[str]:
        before = tuple(self._arguments(_list(self.part.get("runtimeArguments"))))
        after = tuple(self._arguments(_list(self.part.get("packageArguments"))))
        package = self._package(kind)
        if kind == "oci":
            passed = tuple(part for name in variables for part in ("-e", name))
            yield from (
                "docker",
                "run",
                "-i",
                "--rm",
                *passed,
                *(one for one in before if one not in ("-i", "--rm", "run")),
            )
        else:
            yield from (_RUNTIMES[kind], *(() if kind != "npm" or "-y" in before else ("-y",)), *before)
        yield package
        yield from ("--yes", "--") if kind == "nuget" and after else ("--yes",) if kind == "nuget" else ()
        yield from after

    def _check_registry(self, kind: str) -> None:
        """Raise Unfit for another registry than the public one, where anybody can offer a package of that name."""
        base, identifier = str(self.part.get("registryBaseUrl", "")), str(self.part["identifier"])
        named = kind == "oci" and identifier.startswith(f"{urlsplit(base).netloc}/")
        if base and not named and base.rstrip("/") not in _REGISTRIES[kind]:
            said = f"is a package of {kind} from {base}, and would be fetched from the public registry instead"
            raise Unfit(said, "write its file yourself, with a command: that names that registry")

    def _package(self, kind: str) -> str:
        identifier, version = str(self.part["identifier"]), str(self.part.get("version", ""))
        if kind == "oci":
            tag = identifier.rpartition("/")[2].partition(":")[2] or identifier.partition("@")[2]
            if not (tag or version) or tag == "latest":
                raise Unfit("is an image without a certain version", "name a tag or a digest")
            return identifier if tag else f"{identifier}:{version}"
        if not version:
            raise Unfit("is a package without a certain version", "name one")
        if identifier.startswith("-"):
            raise Unfit("is a package whose name begins with -", "name another")
        return f"{identifier}@{version}"

    def _arguments(self, arguments: Iterable[Document]) -> Iterator[str]:
        for one in arguments:
            named = (str(one["name"]),) if one["type"] == "named" else ()
            if named and not any(key in one for key in _ASKED):
                yield from named  # a flag
            elif (value := self._argument(one)) is not None:
                yield from (*named, value)

    def _argument(self, one: Document) -> str | None:
        """The value of an argument; None for one that may be left out."""
        called = str(one.get("name") or one.get("valueHint") or "argument").lstrip("-")
        if one.get("isSecret"):
            raise Unfit(
                f"takes a secret as argument {called}, which everyone on the machine can read",
                "write a command: of your own",
            )
        given = self.choice.variables.get(called, one.get("value", one.get("default")))
        if given is not None:
            return self._filled(str(given), _mapping(one.get("variables")), f"argument {called}")
        if one.get("isRequired"):
            raise Unfit(f"needs a value for {called}", f"say --var {called}=VALUE")
        return None

    def _filled(self, template: str, variables: Document, what: str) -> str:
        """A text that everybody may read, its variables replaced. Raises Unfit."""

        def value_of(match: re.Match[str]) -> str:
            name = match[1]
            about = _mapping(variables.get(name))
            if about.get("isSecret"):
                raise Unfit(
                    f"wants the secret {name} in {what}, which is no place for one",
                    "use a server that takes it in a header",
                )
            given = self.choice.variables.get(name, about.get("value", about.get("default")))
            if given is None:
                raise Unfit(f"needs a value for {name} in {what}", f"say --var {name}=VALUE")
            return str(given)

        return _VARIABLE.sub(value_of, template)

    def _values(self, inputs: Iterable[Document]) -> tuple[Document, tuple[str, ...]]:
        """The values of headers or variables by their names, and a line about each that was left out or replaced."""
        made: Document = {}
        notes: list[str] = []
        for one in inputs:
            name = str(one["name"])
            given = self.choice.variables.get(name, one.get("value", one.get("default")))
            if given is None and not one.get("isRequired") and not one.get("isSecret"):
                notes.append(f"{name} is optional, and was left out")
                continue
            made[name] = self._value(name, given if given is None else str(given), one, notes)
            if one.get("isSecret") and given is not None and made[name] == reference(self.connection, name):
                notes.append(f"{name} held a secret: {made[name]} stands in its place")
        return made, tuple(notes)

    def _value(self, name: str, template: str | None, about: Document, notes: list[str]) -> str:
        """A value, its variables replaced. Raises Unfit."""
        if template is None:
            return reference(self.connection, name)
        pieces = tuple(self._pieces(template, _mapping(about.get("variables"))))
        literal = "".join(text for text, asked in pieces if not asked)
        public = not has_reference(literal) and is_public(name, "".join(text for text, _ in pieces))
        if about.get("isSecret") and not public:
            return reference(self.connection, name)
        value = put_together(name, pieces)
        stand = ((variable(PREFIX, self.connection, asked), asked) for _, asked in pieces if asked)
        notes += (f"{written} stands for {{{asked}}} of {name}" for written, asked in stand)
        return value

    def _pieces(self, template: str, variables: Document) -> Iterator[tuple[str, str]]:
        """The literal parts of a template, and references with the name of the variable that each stands for."""
        end = 0
        for match in _VARIABLE.finditer(template):
            called = match[1]
            if called not in variables:
                continue  # as the schema has it: what is no variable stays
            yield template[end : match.start()], ""
            end = match.end()
            one = _mapping(variables[called])
            given = self.choice.variables.get(called, one.get("value", one.get("default")))
            asked = given is None or bool(one.get("isSecret"))
            yield (reference(self.connection, called), called) if asked else (str(given), "")
        yield template[end:], ""


def _ways(server: Document, connection: str, choice: Choice) -> Iterator[_Way]:
    for part in (*_list(server.get("remotes")), *_list(server.get("packages"))):
        yield _Way(part, connection, choice)


def _mapping(value: Json) -> Document:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> list[Document]:
    return cast("list[Document]", value) if isinstance(value, list) else []
