"""The `audit:` part of mcpgov.yaml: where the ledger is, when a record counts as written, how much is written down of
which calls, and where proof of it goes.

Decides what each key means and its default. Rules: no store that ends with the process; a place that checkpoints are
sent to is reached over TLS; no rule that could never have an effect. Refuses to know: what is done with it.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, PlainValidator, model_validator
from pydantic import ValidationInfo as Info

from mcpgov.audit.field_modes import STEPS, FieldModes, Mode, parse_pattern
from mcpgov.audit.levels import Level, LevelRule, Names
from mcpgov.credential.references import UNFETCHED, Unfit, has_secret_of_vault
from mcpgov.models import Secret
from mcpgov.server_urls import check_postgres_url, is_postgres
from mcpgov.shapes import TEXT, Filled, NotYet, Shape, one_of, resolved_text

SQLITE: Final = "sqlite:///"
LONGEST: Final = 256  # characters of a pattern


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
    if not re.match(rf"file:///.|https://[^/?#]|{re.escape(UNFETCHED)}", place.reveal()):
        raise Unfit("is no place for checkpoints", "write file:///FOLDER, or https://HOST/PATH")
    return place


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


class Audit(Shape):
    """Where the ledger is, a file or a PostgreSQL, and when a record counts as written."""

    store: Annotated[str | Secret, PlainValidator(_store), TEXT] = "sqlite:///mcpgov.db"
    durability: Annotated[str, AfterValidator(one_of("durable", "os-cache"))] = "durable"
    outcome: NotYet = None
    checkpoints: tuple[Annotated[Secret, PlainValidator(_checkpoints), TEXT], ...] = ()
    rules: Annotated[tuple[RuleOfLevel, ...], AfterValidator(_reachable)] = ()

    def levels(self) -> tuple[LevelRule, ...]:
        """The rules as the ledger asks them."""
        return tuple(rule.compiled() for rule in self.rules)
