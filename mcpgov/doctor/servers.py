"""Checks of the servers that the files name, and of the machine that this runs on. Pure."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from mcpgov.doctor.facts import Level, of_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcpgov.doctor.facts import Facts, Finding

SKEW: Final = 5.0  # seconds; tokens are judged by the time
EXPIRES: Final = timedelta(days=30)
OLDEST: Final = (3, 11)
# The ends of security support (PEP 664, 693, 719, 745).
ENDS: Final = {
    (3, 11): date(2027, 10, 31),
    (3, 12): date(2028, 10, 31),
    (3, 13): date(2029, 10, 31),
    (3, 14): date(2030, 10, 31),
}


def answers(facts: Facts) -> Iterator[Finding]:
    """A server that gives no answer."""
    for server in facts.servers:
        if server.fault:
            message = f"{server.what} {server.url}: {server.fault}"
            mend = "is it running, its name right, a firewall open from here? mcpgov connections test says more"
            yield server.at.wrong("unreachable", message, mend)


def skews(facts: Facts) -> Iterator[Finding]:
    """A server whose clock is not ours."""
    for server in facts.servers:
        if server.skew is not None and abs(server.skew) > SKEW:
            message = f"the clock of {server.what} {server.url} is {server.skew:+.0f} s from ours"
            mend = "let this machine ask a time server (NTP); if it does, tell whoever runs that one"
            yield server.at.warning("clock-skew", message, mend)


def certificates(facts: Facts) -> Iterator[Finding]:
    """A certificate that ends soon, ours too. One that has ended gives no answer, or keeps us from starting."""
    for own in facts.certificates:
        if own.expires - facts.now < EXPIRES:
            message = f"{own.place}, or a certificate between it and its root, is good until {own.expires:%Y-%m-%d}"
            yield own.at.warning("certificate-expires", message, "renew it: write new files in the same places")
    for server in facts.servers:
        if server.expires and server.expires - facts.now < EXPIRES:
            message = f"the certificate of {server.what} {server.url} ends on {server.expires:%Y-%m-%d}"
            yield server.at.warning("certificate-expires", message, "renew it, or tell whoever runs that server")


def redis(facts: Facts) -> Iterator[Finding]:
    """A Redis that does not count."""
    if not facts.redis:
        return
    counters, mend = facts.settings.counters, "is it running, and the URL right? calls that a policy counts need it"
    found = facts.at("counters").wrong if counters.when_down == "deny" else facts.at("counters").warning
    yield found("redis-unavailable", facts.redis, mend)


def machine(facts: Facts) -> Iterator[Finding]:
    """What Python, SQLite and the system here cannot give."""
    here, wanted = facts.machine, 2 * facts.settings.limits.connections
    name = ".".join(map(str, here.python))
    end = ENDS.get(here.python)
    if end and facts.now.date() > end:
        message = f"Python {name} has had no security fixes since {end}"
        yield of_file("this machine", Level.WARNING, "python-too-old", message, "run mcpgov with a newer Python")
    if not here.fts5:
        message = "the SQLite of this Python has no FTS5, which the search in records needs"
        mend = "use a Python whose SQLite has it, as python.org's and Debian's have"
        yield of_file("this machine", Level.WRONG, "sqlite-without-fts5", message, mend)
    if here.descriptors < wanted:
        message = (
            f"this process may open {here.descriptors} files: at most {here.descriptors // 2} connections are taken"
        )
        mend = f"raise the limit to {wanted} (LimitNOFILE=, ulimit -n, --ulimit nofile=), or lower limits.connections"
        yield facts.at("limits", "connections").warning("too-few-descriptors", message, mend)
