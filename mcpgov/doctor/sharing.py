"""Checks of the gateways that run with the store at this moment: whether they share what they must. Pure.

One of them may be the very gateway that these settings are of; so a key is held against each, and limits only count as
apart where there are two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcpgov.doctor.facts import Finding, Level
from mcpgov.replicas import PER_WORKER, limits_apart, other_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcpgov.doctor.facts import Facts


def keys_differ(facts: Facts) -> Iterator[Finding]:
    """A gateway that runs with another key than these settings have."""
    if facts.key_ids:
        for problem in other_keys(facts.key_ids, facts.source, facts.gateways):
            yield Finding(Level.WRONG, "keys-differ", problem)


def limits_are_apart(facts: Facts) -> Iterator[Finding]:
    """Gateways that run together, and do not count together."""
    for problem in limits_apart(facts.settings.counters, facts.source, facts.gateways[1:]):
        yield Finding(Level.WRONG, "limits-apart", problem)
    places = {gateway.counters for gateway in facts.gateways} - {"", PER_WORKER}
    if len(places) > 1:
        message = f"gateways of this store count limits apart: {', '.join(sorted(places))}"
        mend = "restart those that have older settings; the records of their starts name them"
        yield facts.at("counters").warning("counters-differ", message, mend)
