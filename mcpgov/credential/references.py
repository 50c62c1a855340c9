"""What stands for a secret in a file: `${env:NAME}`, `${file:PATH}`, `${secret:URL}`; resolved when the file is loaded.

Rules: a reference that finds nothing, or finds something empty, is an error and never an empty secret, because an
upstream that is sent an empty key may take the caller for anonymous. What was found is not looked at for references
again. `$${` is a plain `${`. `os.environ/NAME`, alone, is `${env:NAME}`, as LiteLLM writes it; inside of text it is
refused, because an upstream would be sent these very letters. No message here quotes a value. Refuses to know: what the
secret is for, and how one is fetched from a Key Vault.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from mcpgov.frozen import frozen
from mcpgov.models import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Fetch = Callable[[str], str]  # the value of a secret by its URL; raises Unfit

MAX_FILE_BYTES: Final = 65_536
_REFERENCE: Final = re.compile(r"\$\$\{|\$\{(?P<inside>[^{}]*)\}|\$\{")
_ENVIRONMENT_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Microsoft's names for what a vault holds: 1 to 127 letters, digits and dashes; a version is 32 hex digits.
_SECRET: Final = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?/secrets/[A-Za-z0-9-]{1,127}(?:/[0-9a-f]{32})?")
_LITELLM: Final = "os.environ/"
UNFETCHED: Final = "unfetched-"


class Unfit(ValueError):
    """A value that cannot be used: what is wrong, said of the key that holds it ("key is ..."), and how to mend it."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend


class Lookup(Protocol):
    """Where references find their values, and the folder that relative paths start from."""

    @property
    def folder(self) -> str:
        """The folder of mcpgov.yaml."""
        ...

    def environment(self, name: str) -> str:
        """The value of an environment variable. Raises Unfit when it is not set."""
        ...

    def file(self, path: str) -> str:
        """The text of a file, without its last line break. Raises Unfit when it cannot be had."""
        ...

    def secret(self, url: str) -> str:
        """The value of a secret of Azure Key Vault. Raises Unfit when it cannot be had."""
        ...


def has_reference(text: str) -> bool:
    """Whether anything in `text` would be replaced, or is written as if it were."""
    return "${" in text or _LITELLM in text


def has_secret_of_vault(text: str) -> bool:
    """Whether something in `text` comes from a Key Vault."""
    return any((match["inside"] or "").startswith("secret:") for match in _REFERENCE.finditer(text))


def referenced(text: str) -> Iterator[tuple[str, str]]:
    """What the references in `text` name: their kind (env, file, secret), and the variable, the path or the URL."""
    for match in _REFERENCE.finditer(text):
        kind, _, argument = (match["inside"] or "").partition(":")
        if kind in {"env", "file", "secret"} and argument:
            yield kind, argument


def unfetched(_: str) -> str:
    """A stand-in for verbs that decide nothing with a secret and connect nowhere.

    It fits where a header, a password or a key of 32 bytes may stand, and nobody can know it beforehand.
    """
    return UNFETCHED + secrets.token_urlsafe(48)


def resolve(text: str, lookup: Lookup) -> Secret:
    """`text` with every reference replaced by what it stands for. Raises Unfit."""
    if text.startswith(_LITELLM):
        text = f"${{env:{text.removeprefix(_LITELLM)}}}"
    elif _LITELLM in text:
        raise Unfit(f"holds {_LITELLM} inside of text, where nothing is put in its place", "write ${env:NAME} there")
    return Secret(_REFERENCE.sub(lambda match: _value_of(match, lookup), text))


def _value_of(match: re.Match[str], lookup: Lookup) -> str:
    if match[0] == "$${":
        return "${"
    kind, _, argument = (match["inside"] or "").partition(":")
    if kind == "env" and _ENVIRONMENT_NAME.fullmatch(argument):
        value, source = lookup.environment(argument), f"the environment variable {argument}"
    elif kind == "file" and argument:
        value, source = lookup.file(argument), f"the file {argument}"
    elif kind == "secret":
        if not _SECRET.fullmatch(argument):
            mend = "write ${secret:https://VAULT.vault.azure.net/secrets/NAME}, or with /VERSION behind it"
            raise Unfit("names no secret of a Key Vault", mend)
        value, source = lookup.secret(argument), f"the secret {argument}"
    else:
        mend = "write ${env:NAME}, ${file:PATH} or ${secret:URL}, and $${ for a plain ${"
        raise Unfit("holds a reference that cannot be read", mend)
    if not value.strip():
        raise Unfit(f"names {source}, which is empty", "give it a value")
    return value


@frozen
class EnvironmentAndFiles:
    """The Lookup of a running gateway. Relative paths start from the folder of mcpgov.yaml.

    `fetch` asks a Key Vault; None where nothing says as whom.
    """

    variables: Mapping[str, str]
    folder: str = "."
    fetch: Fetch | None = None

    def environment(self, name: str) -> str:
        """The value of an environment variable. Raises Unfit when it is not set."""
        try:
            return self.variables[name]
        except KeyError:
            raise Unfit(f"names the environment variable {name}, which is not set", f"set {name} for mcpgov") from None

    def file(self, path: str) -> str:
        """The text of a regular file of at most 64 KiB, without its last line break. Raises Unfit."""
        place = Path(self.folder, path)
        try:
            if not place.is_file():  # a pipe or a device would hold up the load, or never end
                raise Unfit(f"names the file {path}, which is not there", f"looked for {place}")
            with place.open("rb") as opened:
                content = opened.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise Unfit(
                f"names the file {path}, which cannot be read: {error.strerror}", f"looked for {place}"
            ) from None
        if len(content) > MAX_FILE_BYTES:
            raise Unfit(f"names the file {path}, which is larger than {MAX_FILE_BYTES} bytes", "is it the right file?")
        try:
            return content.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise Unfit(f"names the file {path}, which is not text in UTF-8", "write the secret as text") from None

    def secret(self, url: str) -> str:
        """The value of a secret of Azure Key Vault. Raises Unfit."""
        if self.fetch is None:
            raise Unfit("comes from a Key Vault, and nothing says who mcpgov is there", "add azure: to mcpgov.yaml")
        return self.fetch(url)
