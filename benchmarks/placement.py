"""Which cores the proxy has, and which the load: apart where there are two, so that neither takes the other's time."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from collections.abc import Set as AbstractSet


@dataclass(frozen=True, slots=True)
class Placement:
    """The cores of what is measured, and those of the load and the upstream; `told` says it to a reader."""

    proxy: frozenset[int]
    load: frozenset[int]
    told: str

    @property
    def both(self) -> frozenset[int]:
        """All of them, for what has more than one process."""
        return self.proxy | self.load


def placement(cores: AbstractSet[int]) -> Placement:
    """The first core for the proxy and the second for everything else; one core for all where there is but one."""
    first, *others = sorted(cores)
    if not others:
        told = "one core for everything: the load takes time from the proxy, latency and rates say little, CPU holds"
        return Placement(frozenset({first}), frozenset({first}), told)
    told = f"proxy on core {first}, load and upstream on core {others[0]}"
    return Placement(frozenset({first}), frozenset({others[0]}), told)


def here() -> Placement:
    """The placement on the cores that this process may use."""
    return placement(os.sched_getaffinity(0))


@contextmanager
def on(cores: AbstractSet[int]) -> Generator[None]:
    """Run on these cores, and let what is started inside inherit them."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
