"""The URLs of servers that mcpgov keeps its state in: a Redis that counts, a PostgreSQL that is the store, or is sent
checkpoints.

Pure checks. Such a URL may hold a password: it is a Secret from here on, and no message quotes any of it. What would
quietly weaken a connection, or lead to another place than the host that is named, is refused. Refuses to know: how one
connects.
"""

from __future__ import annotations

import re
import shlex
from typing import Final
from urllib.parse import unquote, urlsplit

from mcpgov.credential.references import UNFETCHED, Unfit
from mcpgov.endpoint.limits import is_loopback

_PRINTABLE: Final = re.compile(r"[!-~]+")
_REDIS_DATABASE: Final = re.compile(r"/?|/[0-9]{1,4}")
_DATABASE: Final = re.compile(r"/(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+")
_TLS: Final = re.compile(r"|sslmode=(?:disable|require|verify-full)")
_REDIS_MEND: Final = (
    "write redis://HOST:6379, or rediss://USER:PASSWORD@HOST:6379/0 with a password's / as %2F, its # as %23"
)
_POSTGRES_MEND: Final = "write postgresql://USER:PASSWORD@HOST:5432/DATABASE with a password's / as %2F, its # as %23"


def is_postgres(url: str) -> bool:
    """Whether a URL asks for PostgreSQL, well or badly."""
    return url.startswith("postgres")


def shown(url: str) -> str:
    """Where a URL leads, without who signs in, and how."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def check_redis_url(url: str) -> None:
    """Raise Unfit unless it leads to one database of a Redis."""
    no_redis = Unfit("is not the URL of a Redis", _REDIS_MEND)
    try:
        parts = urlsplit(url if _PRINTABLE.fullmatch(url) else "")
        leads_somewhere = parts.hostname and parts.port != 0
    except ValueError:
        raise no_redis from None
    if parts.scheme not in {"redis", "rediss"} or not leads_somewhere:
        raise no_redis
    if parts.query or parts.fragment or not _REDIS_DATABASE.fullmatch(parts.path):
        raise Unfit("has more behind the host than the number of a database", _REDIS_MEND)


def check_postgres_url(url: str) -> None:
    """Raise Unfit unless it leads to one database of one PostgreSQL. `?sslmode=` may name how TLS is used."""
    no_postgres = Unfit("is not the URL of a PostgreSQL database", _POSTGRES_MEND)
    try:
        parts = urlsplit(url if _PRINTABLE.fullmatch(url) else "")
        leads_somewhere = parts.hostname and parts.port != 0 and "," not in parts.netloc
    except ValueError:
        raise no_postgres from None
    if parts.scheme not in {"postgresql", "postgres"} or not leads_somewhere or not _DATABASE.fullmatch(parts.path):
        raise no_postgres
    if parts.fragment or not _TLS.fullmatch(parts.query):
        mend = "write nothing, or ?sslmode=verify-full, ?sslmode=require or ?sslmode=disable"
        raise Unfit("has more behind the name of the database than how TLS is used", mend)


def unfit_for_token(url: str) -> tuple[str, str] | None:
    """What keeps a token of our identity from being shown at a URL in the place of a password, and the mend.

    Whoever has the token is mcpgov there: it goes to nobody who has not proved who he is.
    """
    if url.startswith(UNFETCHED):
        return None
    parts = urlsplit(url)
    verified = parts.scheme == "rediss" or (is_postgres(url) and parts.query in {"", "sslmode=verify-full"})
    if parts.password is not None:
        return "the URL has a password, and a token is to stand in its place", "leave it out: USER@HOST"
    if not parts.username:
        return (
            "the URL names nobody to sign in as",
            "write USER@HOST: a role of PostgreSQL, or for a Redis an object id",
        )
    if not verified and not is_loopback(parts.hostname or ""):
        return "the token would be shown to whoever answers", "write rediss://, and no sslmode but verify-full"
    return None


def dump_command(url: str, file: str) -> str:
    """What saves a PostgreSQL database in a file, as it is typed: without the password, which pg_dump asks for."""
    parts = urlsplit(url)
    user = f"--username={unquote(parts.username)}" if parts.username else ""
    words = "pg_dump", "--format=custom", f"--host={parts.hostname}", f"--port={parts.port or 5432}", user
    return shlex.join(filter(None, (*words, f"--file={file}", unquote(parts.path[1:]))))
