"""Tries several ways to the same place, one a little after the other, and takes the first that leads there.

Source: RFC 8305 sections 4 and 5: families of addresses in turn, the next attempt after DELAY or as soon as one has
failed. Rules: every way is tried before it is said that none leads there; what comes second is closed, and so is what
is still under way when somebody has won, or nobody waits any more. One way alone makes no task.
"""

from __future__ import annotations

import asyncio
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

DELAY: Final = 0.25  # seconds


class Closable(Protocol):
    """What an attempt gives."""

    def abort(self) -> None:
        """Close it at once."""
        ...


Way = TypeVar("Way")
End = TypeVar("End", bound=Closable)


async def first_to_arrive(ways: Sequence[Way], go: Callable[[Way], Coroutine[None, None, End]]) -> End:
    """What the first way gives that leads there. Raises the OSError of the last one that failed."""
    if len(ways) == 1:
        return await go(ways[0])
    untried, going = list(ways), set[asyncio.Task[End]]()
    failure = OSError("there is no way")
    try:
        while untried or going:
            if untried:
                going.add(asyncio.create_task(go(untried.pop(0))))
            wait = DELAY if untried else None
            done, _ = await asyncio.wait(going, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is None:
                    going.discard(task)
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                going.discard(task)
                failure = error
        raise failure
    finally:
        for task in going:
            task.add_done_callback(close_late)
            task.cancel()


def close_late(task: asyncio.Task[End]) -> None:
    """Close what came too late to win."""
    if not task.cancelled() and task.exception() is None:
        task.result().abort()


def in_turn(ways: Sequence[Way], family: Callable[[Way], object], first: Way | None) -> list[Way]:
    """The ways with their families in turn, that of the first one first; but before all the way that led there last."""
    families: dict[object, list[Way]] = {}
    for way in ways:
        families.setdefault(family(way), []).append(way)
    turns = chain.from_iterable(zip_longest(*([(way,) for way in of] for of in families.values()), fillvalue=()))
    ordered = [way for turn in turns for way in turn]
    return sorted(ordered, key=lambda way: way != first)  # which keeps the order of the others
