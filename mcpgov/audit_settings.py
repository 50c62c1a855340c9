"""The `audit:` part of mcpgov.yaml: where the ledger is, when a record counts as written, how much is written down of
which calls, and where proof of it goes.

Decides what each key means and its default. Rules: no store that ends with the process, and none that is named twice; a
place that checkpoints are sent to is reached over TLS, and is not the store itself; no rule that could never have an
effect. Refuses to know: what is done with it.
"""

from __future__ import annotations

import posixpath
import re
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema, model_validator
from pydantic import ValidationInfo as Info

from mcpgov.audit.field_modes import STEPS, FieldModes, Mode, parse_pattern
from mcpgov.audit.levels import Level, LevelRule, Names
from mcpgov.credential.references import UNFETCHED, Unfit, has_secret_of_vault
from mcpgov.export_settings import Exports
from mcpgov.models import Secret
from mcpgov.server_urls import check_postgres_url, is_postgres
from mcpgov.shapes import TEXT, Filled, Shape, resolved_text

SQLITE: Final = "sqlite:///"
FOREVER: Final = "forever"
MOST_DAYS: Final = 36_500
DAYS: Final = WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_DAYS}, {"const": FOREVER}]})
LONGEST: Final = 256  # characters of a pattern
CHECKPOINTS: Final = rf"file:///.|https://[^/?#]|sqlite:////[^?#]+\Z|{re.escape(UNFETCHED)}"


def _store(value: object, info: Info) -> str | Secret:
    if isinstance(value, str) and has_secret_of_vault(value):
        raise Unfit("is needed where no Key Vault is asked", "write ${env:NAME} or ${file:PATH}")
    url = resolved_text(value, info)
    if is_postgres(url.reveal()):
        check_postgres_url(url.reveal())
        return url
    file = url.reveal()
    if not file.startswith(SQLITE) or not file.removeprefix(SQLITE) or re.search(r"[?#]|:memory:", file):
        mend = "write sqlite:///FILE, like sqlite:///mcpgov.db, or postgresql://USER:PASSWORD@HOST/DATABASE"
        raise Unfit("is not a store that outlives the process", mend)
    return file


def _checkpoints(value: object, info: Info) -> Secret:
    place = resolved_text(value, info)
    if is_postgres(place.reveal()):
        check_postgres_url(place.reveal())
    elif not re.match(CHECKPOINTS, place.reveal()):
        mend = "write file:///FOLDER, https://HOST/PATH, sqlite:////FOLDER/FILE, or postgresql://USER@HOST/DATABASE"
        raise Unfit("is no place for checkpoints", mend)
    return place


def _days(value: object) -> int | None:
    if value == FOREVER:
        return None
    if type(value) is not int or not 1 <= value <= MOST_DAYS:
        raise Unfit("is not a number of days", f"write a whole number from 1 to {MOST_DAYS}, or {FOREVER}")
    return value


def _name_pattern(pattern: str) -> str:
    if not 1 <= len(pattern) <= LONGEST or not pattern.isprintable():
        raise Unfit("is no pattern of a name", "write a name, in which * is any characters and ? any one")
    return pattern


def _field_pattern(written: str) -> str:
    try:
        parse_pattern(written)
    except ValueError:
        mend = f"write at most {STEPS} keys with dots between them, like user.email, items.*.token or **"
        raise Unfit("is no path to a value", mend) from None
    return written


NamePatterns = Annotated[tuple[Annotated[str, AfterValidator(_name_pattern)], ...] | None, Filled]
FieldPattern = Annotated[str, AfterValidator(_field_pattern)]


class RuleOfLevel(Shape):
    """How much of which calls is written down, and how values look. A key that is left out matches everything."""

    connections: NamePatterns = None
    methods: NamePatterns = None
    tools: NamePatterns = None
    principals: NamePatterns = None
    level: Literal["none", "metadata", "request", "request-response"]
    fields: dict[FieldPattern, Literal["drop", "hmac", "mask", "clear"]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _with_an_effect(self) -> Self:
        if self.fields and not Level(self.level).holds_arguments:
            raise Unfit(f"has fields, but no values are written down at level {self.level}", "write level: request")
        return self

    @property
    def matches_everything(self) -> bool:
        """Whether no rule behind this one is ever reached."""
        return (self.connections, self.methods, self.tools, self.principals) == (None, None, None, None)

    def compiled(self) -> LevelRule:
        """The rule as the ledger asks it."""
        return LevelRule(
            Level(self.level),
            FieldModes.of({path: Mode(mode) for path, mode in self.fields.items()}),
            Names.of(self.connections),
            Names.of(self.methods),
            Names.of(self.tools),
            Names.of(self.principals),
        )


def _reachable(rules: tuple[RuleOfLevel, ...]) -> tuple[RuleOfLevel, ...]:
    if any(rule.matches_everything for rule in rules[:-1]):
        raise Unfit("has a rule behind one that matches everything", "put the one that matches everything last")
    return rules


Store = Annotated[str | Secret, PlainValidator(_store), TEXT]


class Audit(Shape):
    """Where the ledger is, in files or in PostgreSQL, when a record counts as written, and how long it is kept.

    `sinks` are written beside `store`; `require` says how many of all these have to have a record. `sign_in` says how
    those of them that are servers know us: by the password in the URL, or by a token of our own identity. `keep_days`
    is None where records are kept for ever.
    """

    store: Store = "sqlite:///mcpgov.db"
    sinks: tuple[Store, ...] = ()
    sign_in: Literal["password", "entra"] = "password"
    require: Literal["one", "all"] = "one"
    durability: Literal["durable", "os-cache"] = "durable"
    outcome: Literal["after-reply", "before-reply"] = "after-reply"
    keep_days: Annotated[int | None, PlainValidator(_days), DAYS] = 400
    checkpoints: tuple[Annotated[Secret, PlainValidator(_checkpoints), TEXT], ...] = ()
    rules: Annotated[tuple[RuleOfLevel, ...], AfterValidator(_reachable)] = ()
    exports: Exports = ()

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        places = [_place(store) for store in (self.store, *self.sinks)]
        if len(set(places)) < len(places):
            raise Unfit("names a store twice", "name each once, under `store` or `sinks`")
        if places[0] in map(_place, self.checkpoints):
            mend = "name a database that whoever can change the store cannot change"
            raise Unfit("sends checkpoints to the store that they are of", mend)
        return self

    def levels(self) -> tuple[LevelRule, ...]:
        """The rules as the ledger asks them."""
        return tuple(rule.compiled() for rule in self.rules)


def _place(store: str | Secret) -> str:
    """What two names of the same store have in common."""
    url = store.reveal() if isinstance(store, Secret) else store
    return posixpath.normpath(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else url
