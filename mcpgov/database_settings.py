"""The `counters:` part of mcpgov.yaml, and what the settings say of how databases are signed in to.

Decides what each key means and its default. Rule: a token of our identity is only shown where the settings say who we
are, and to a server that proves who it is. Refuses to know: how one connects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self, cast

from pydantic import PlainValidator, model_validator
from pydantic import ValidationInfo as Info

from mcpgov.credential.references import UNFETCHED, Unfit
from mcpgov.models import Secret
from mcpgov.server_urls import check_redis_url, unfit_for_token
from mcpgov.shapes import TEXT, Flag, Shape, resolved_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcpgov.audit_settings import Audit
    from mcpgov.identity_settings import Azure


def _redis_url(value: object, info: Info) -> Secret:
    url = resolved_text(value, info)
    if not url.reveal().startswith(UNFETCHED):
        check_redis_url(url.reveal())
    return url


class Counters(Shape):
    """Where limits are counted: in memory, or in the Redis at `url`; `when_down` says what happens while that is down,
    `sign_in` how it knows us: by the password in the URL, or by a token of our own identity.

    `counters: redis://…`, `counters: memory` and `counters: per-worker` are the short forms.
    """

    url: Annotated[Secret, PlainValidator(_redis_url), TEXT] | None = None
    when_down: Literal["deny", "local"] = "deny"
    per_worker: Flag = False
    sign_in: Literal["password", "entra"] = "password"

    @model_validator(mode="before")
    @classmethod
    def _written_short(cls, value: object) -> object:
        if isinstance(value, str):
            return {"memory": {}, "per-worker": {"per_worker": True}}.get(value, {"url": value})
        if not isinstance(value, dict | Counters):
            raise Unfit("must be memory, a URL or a mapping", "write memory, or redis://HOST:6379")
        return cast("object", value)

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if self.url is None and "when_down" in self.model_fields_set:
            raise Unfit("has no url", "add url: redis://HOST:6379")
        if self.url is not None and self.per_worker:
            raise Unfit("are either shared or of each worker", "remove url, or per_worker")
        return self


def by_token(audit: Audit, counters: Counters, azure: Azure | None) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """What is wrong with databases that are to be signed in to by tokens: where, what, and the mend."""
    stores = [one for one in (audit.store, *audit.sinks) if isinstance(one, Secret)]
    for part, sign_in, name, urls in (
        ("audit", audit.sign_in, "store", stores),
        ("counters", counters.sign_in, "url", [counters.url] if counters.url else []),
    ):
        if sign_in != "entra":
            continue
        if azure is None:
            yield (part, "sign_in"), "a token says who mcpgov is in Microsoft Entra", "add azure: { tenant_id: … }"
        if not urls:
            yield (part, "sign_in"), "there is no server to sign in to", "remove it, or name a PostgreSQL, or a Redis"
        for url in urls:
            if said := unfit_for_token(url.reveal()):
                yield (part, name), *said
