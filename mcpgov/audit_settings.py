"""The `audit:` part of mcpgov.yaml: where the ledger is, when a record counts as written, and where proof of it goes.

Decides what each key means and its default. Rules: no store that ends with the process, and none that is named twice; a
place that checkpoints are sent to is reached over TLS. Refuses to know: what is done with it.
"""

from __future__ import annotations

import posixpath
import re
from typing import Annotated, Final, Literal, Self

from pydantic import PlainValidator, WithJsonSchema, model_validator
from pydantic import ValidationInfo as Info

from mcpgov.credential.references import UNFETCHED, Unfit, has_secret_of_vault
from mcpgov.models import Secret
from mcpgov.server_urls import check_postgres_url, is_postgres
from mcpgov.shapes import TEXT, Shape, resolved_text

SQLITE: Final = "sqlite:///"
FOREVER: Final = "forever"
MOST_DAYS: Final = 36_500
DAYS: Final = WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_DAYS}, {"const": FOREVER}]})


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


def _days(value: object) -> int | None:
    if value == FOREVER:
        return None
    if type(value) is not int or not 1 <= value <= MOST_DAYS:
        raise Unfit("is not a number of days", f"write a whole number from 1 to {MOST_DAYS}, or {FOREVER}")
    return value


Store = Annotated[str | Secret, PlainValidator(_store), TEXT]


class Audit(Shape):
    """Where the ledger is, in files or in PostgreSQL, when a record counts as written, and how long it is kept.

    `sinks` are written beside `store`; `require` says how many of all these have to have a record. `keep_days` is None
    where records are kept for ever.
    """

    store: Store = "sqlite:///mcpgov.db"
    sinks: tuple[Store, ...] = ()
    require: Literal["one", "all"] = "one"
    durability: Literal["durable", "os-cache"] = "durable"
    outcome: Literal["after-reply", "before-reply"] = "after-reply"
    keep_days: Annotated[int | None, PlainValidator(_days), DAYS] = 400
    checkpoints: tuple[Annotated[Secret, PlainValidator(_checkpoints), TEXT], ...] = ()

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        places = [_place(store) for store in (self.store, *self.sinks)]
        if len(set(places)) < len(places):
            raise Unfit("names a store twice", "name each once, under `store` or `sinks`")
        return self


def _place(store: str | Secret) -> str:
    """What two names of the same store have in common."""
    return store.reveal() if isinstance(store, Secret) else posixpath.normpath(store.removeprefix(SQLITE))
