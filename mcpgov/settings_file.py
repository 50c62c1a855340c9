"""The file mcpgov.yaml: how it is found and read, and where the references in it find their values.

Rules: `azure:` is read ahead of all else, because a Key Vault is asked by whom it names. A verb that connects nowhere
gets a stand-in for a secret, and the gateway never does.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

from pydantic import ConfigDict

from mcpgov.audit_settings import SQLITE, Audit
from mcpgov.credential.references import EnvironmentAndFiles, Fetch, Unfit, unfetched
from mcpgov.errors import InvalidConfiguration, Problem
from mcpgov.identity_settings import Azure
from mcpgov.models import Secret
from mcpgov.settings import Settings, rooted
from mcpgov.shapes import Shape, Written, read_model
from mcpgov.yaml_source import MAX_BYTES, parse_yaml

if TYPE_CHECKING:
    from mcpgov.yaml_source import Source

DEFAULT_FILE: Final = "mcpgov.yaml"
Vaults = Callable[[Azure], Fetch]  # how Key Vault is asked by whom `azure:` says that mcpgov is, for one load


class _Ahead(Shape):
    """What has to be known before a Key Vault can be asked."""

    model_config = ConfigDict(extra="ignore")

    azure: Annotated[Azure | None, Written] = None


class _Stored(Shape):
    """Where the store is, whatever else the file says."""

    model_config = ConfigDict(extra="ignore")

    audit: Audit = Audit()


def stand_ins(_: Azure) -> Fetch:
    """The Vaults of verbs that connect nowhere, and for which it does not matter what a secret is."""
    return unfetched


def no_vaults(_: Azure) -> Fetch:
    """The Vaults of those who were given none: they refuse, because a stand-in must never be served with."""

    def fetch(url: str) -> str:
        raise Unfit(f"names {url}, and no Key Vault is asked here", "write ${env:NAME} or ${file:PATH}")

    return fetch


def stood_in(variables: Mapping[str, str]) -> Mapping[str, str]:
    """The environment of verbs for which it does not matter what a secret is: one that is not set has a stand-in."""
    return defaultdict(lambda: unfetched(""), {name: value for name, value in variables.items() if value.strip()})


def load_settings(path: Path | None) -> Settings:
    """What a file, or else ./mcpgov.yaml, says of `audit`, and of `azure` where the store is signed in to with that.

    All other settings have their defaults.

    For verbs that need the store alone. A key is revoked and a record read also while a secret is not set, or the file
    is wrong elsewhere; only an unknown key where there is no `audit` may be that one misspelt. Raises
    InvalidConfiguration.
    """
    place = path or Path(DEFAULT_FILE)
    if path is None and not os.path.lexists(place):
        return Settings()
    source = parse_yaml(read_text(place), str(place))
    lookup = EnvironmentAndFiles(
        os.environ, folder_of(place), unfetched
    )  # the store names no vault, the rest is not used
    stored = read_model(_Stored, source, lookup)
    if not stored.model_fields_set and set(cast("dict[str, object]", source.value)) - Settings.model_fields.keys():
        read_model(Settings, source, EnvironmentAndFiles(stood_in(os.environ), folder_of(place), unfetched))
    ahead = read_model(_Ahead, source, lookup) if stored.audit.sign_in == "entra" else _Ahead()
    return rooted(Settings(audit=stored.audit).model_copy(update={"azure": ahead.azure}), place.parent)


def named_store(source: str) -> str | Secret:
    """A store that somebody named: a path, or a URL, in which references keep a password out of sight.

    No message quotes a URL. Raises InvalidConfiguration.
    """
    if "://" not in source:
        return f"{SQLITE}{Path(source).absolute()}"
    as_written = parse_yaml(json.dumps({"store": source}), "the store that was named")
    store = read_model(Audit, as_written, EnvironmentAndFiles(os.environ, folder_of(Path(DEFAULT_FILE)))).store
    return store if isinstance(store, Secret) else f"{SQLITE}{Path.cwd() / store.removeprefix(SQLITE)}"


def lookup_for(text: str, place: Path, variables: Mapping[str, str], vaults: Vaults) -> EnvironmentAndFiles:
    """Where the references in the settings that `text` holds, and in the files beside them, find their values.

    `azure:` is read ahead of all else. Where it is wrong nothing is fetched, and nothing will be put in force.
    """
    folder = folder_of(place)
    try:
        azure = read_model(_Ahead, parse_yaml(text, str(place)), EnvironmentAndFiles(variables, folder)).azure
    except InvalidConfiguration:
        return EnvironmentAndFiles(variables, folder, unfetched)
    return EnvironmentAndFiles(variables, folder, vaults(azure) if azure else None)


def settings_source(path: Path | None) -> Source:
    """Where everything stands in a file, or else in ./mcpgov.yaml; in nothing, where that is not there. Raises
    InvalidConfiguration.
    """
    place = path or Path(DEFAULT_FILE)
    return parse_yaml(read_text(place) if path or os.path.lexists(place) else "{}", str(place))


def folder_of(place: Path) -> str:
    """The folder of a file: in full, because messages name what is in it, unless where we are was deleted."""
    try:
        return str(place.parent.absolute())
    except FileNotFoundError:
        return str(place.parent)


def read_text(place: Path) -> str:
    """The text of a regular file. Raises InvalidConfiguration."""
    try:
        if place.exists() and not place.is_file():  # a pipe or a device would hold up the load, or never end
            raise InvalidConfiguration((Problem(str(place), 0, 0, "this is not a file"),))
        with place.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:  # said here: what was cut off in the middle of a letter is no text
            raise InvalidConfiguration((Problem(str(place), 0, 0, f"larger than {MAX_BYTES} bytes", "split it"),))
        return content.decode("utf-8")
    except OSError as error:
        raise InvalidConfiguration((Problem(str(place), 0, 0, f"cannot be read: {error.strerror}"),)) from None
    except UnicodeDecodeError:
        raise InvalidConfiguration((Problem(str(place), 0, 0, "this is not text", "save it as UTF-8"),)) from None
