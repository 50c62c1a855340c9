"""Checks of who can reach a gateway, and as whom it sees them. Pure.

What no gateway would start with is told by the configuration itself; here stands what starts, and should not.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mcpgov.endpoint.limits import is_loopback
from mcpgov.models import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcpgov.doctor.facts import Facts, Finding

SOON: Final = timedelta(days=7)  # before a key ends


def admin_exposed(facts: Facts) -> Iterator[Finding]:
    """An admin listener that other machines reach, without anybody who could sign in, or without TLS."""
    admin = facts.settings.admin
    if admin is None or admin.listen.loopback:
        return
    if facts.keys is not None and not facts.keys.admins:
        message = f"operators come in at {admin.listen} from other machines, and there is no admin key in force"
        mend = "make one with: mcpgov keys admin NAME --role admin; or listen on 127.0.0.1"
        yield facts.at("admin").wrong("admin-exposed", message, mend)
    if not admin.tls and not (admin.public_url or "").startswith("https:"):
        message = f"admin keys come to {admin.listen} in plain HTTP, from other machines"
        mend = "give it a certificate (admin.tls), listen on 127.0.0.1, or name the https URL of a proxy in front"
        yield facts.at("admin").warning("admin-without-tls", message, mend)


def public_url(facts: Facts) -> Iterator[Finding]:
    """A gateway that others reach and that does not know its own name, or a name that others cannot reach."""
    settings = facts.settings
    if not settings.public_url:
        if not settings.is_local:
            message = f"callers come from elsewhere and are told of {settings.url}; any Host is taken"
            mend = "add public_url, like https://mcp.contoso.com"
            yield facts.at("listen").warning("public-url-missing", message, mend)
    elif is_loopback(urlsplit(settings.public_url).hostname or "") and not settings.listen.loopback:
        message = f"clients elsewhere are told of {settings.public_url}, and {settings.listen} is for them"
        mend = "name the URL that they use, or listen on 127.0.0.1"
        yield facts.at("public_url").warning("public-url-mismatch", message, mend)


def proxies(facts: Facts) -> Iterator[Finding]:
    """TLS that is not ended here, so that somebody in front must, and nobody in front who is believed."""
    settings = facts.settings
    if (settings.public_url or "").startswith("https:") and not settings.tls and not settings.trusted_proxies:
        message = "a proxy ends TLS in front, and none is trusted: records and ip-filter see its address, not callers'"
        mend = "name its network (trusted_proxies: [10.0.0.0/24]), or end TLS here (tls: { certificate: …, key: … })"
        yield facts.at("public_url").warning("proxy-not-trusted", message, mend)


def callers(facts: Facts) -> Iterator[Finding]:
    """A gateway that nobody can call, or soon will not."""
    if facts.keys is None:
        return
    identity = facts.settings.identity
    others = identity.allow_anonymous or identity.entra or identity.oidc or identity.proxy
    good = [key for key in facts.keys.keys if key.revoked_at is None and not key.has_expired(facts.now)]
    if not good and not others:
        every = "every key was revoked or has expired" if facts.keys.keys else "there is no gateway key"
        mend = "make one with: mcpgov keys create NAME"
        yield facts.at("identity").wrong("nobody-can-call", f"nobody can call: {every}", mend)
    for key in good:
        if key.expires_at and key.expires_at - facts.now < SOON and not key.replaced_by:
            message = f"the key {key.id} ({key.name}) ends on {key.expires_at:%Y-%m-%d}"
            yield facts.at("identity").warning("key-expires", message, f"mcpgov keys rotate {key.id}")


def shared_limits(facts: Facts) -> Iterator[Finding]:
    """A store for several gateways, each of which would count limits for itself."""
    counters = facts.settings.counters
    if isinstance(facts.settings.audit.store, Secret) and counters.url is None and not counters.per_worker:
        message = "gateways that share this store each count limits for themselves, and admit so many times as much"
        mend = "name a Redis, like counters: redis://HOST:6379, or say counters: per-worker"
        yield facts.at("audit", "store").warning("counters-not-shared", message, mend)
