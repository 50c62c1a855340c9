"""All the checks, and what they find in the facts, the worst first. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcpgov.doctor import exposure, servers, sharing, stores
from mcpgov.doctor.facts import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mcpgov.doctor.facts import Facts
    from mcpgov.errors import Problem

CHECKS: Final[tuple[Callable[[Facts], Iterator[Finding]], ...]] = (
    *(stores.reachable, stores.schema, stores.damage, stores.keys_beside, stores.folders, stores.clocks),
    stores.permissions,
    *(exposure.admin_exposed, exposure.public_url, exposure.proxies, exposure.callers, exposure.shared_limits),
    *(sharing.keys_differ, sharing.limits_are_apart),
    *(servers.answers, servers.skews, servers.certificates, servers.redis, servers.machine),
)


def judged(facts: Facts) -> list[Finding]:
    """What every check finds."""
    return ordered(finding for check in CHECKS for finding in check(facts))


def misconfigured(problems: Iterable[Problem]) -> list[Finding]:
    """What no gateway would start with."""
    return ordered(Finding(Level.WRONG, "configuration", problem) for problem in problems)


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Findings as they are told: what is wrong before what is a warning, in the order that they were found."""
    return sorted(findings, key=lambda finding: finding.level is Level.WARNING)
