"""Whoever waits too long is told, whoever was answered is let go of, and there is one timer for all."""

import asyncio
import weakref

from mcpgov.audit.patience import Patience
from tests.audit.timers import Timers


def test_each_who_waits_for_too_long_is_told_in_turn(loop: Timers) -> None:
    silent: list[asyncio.Future[None]] = []

    def tell(waiter: asyncio.Future[None]) -> None:
        silent.append(waiter)
        waiter.set_result(None)

    patience = Patience(loop, 2, tell)
    first = patience.waiter()
    loop.at = 1
    second = patience.waiter()
    loop.pass_until(1.9)
    assert silent == []
    loop.pass_until(2)
    assert silent == [first]
    loop.pass_until(3)
    assert silent == [first, second]


def test_one_timer_serves_all_who_wait(loop: Timers) -> None:
    patience = Patience(loop, 2, lambda waiter: waiter.set_result(None))
    waiters = [patience.waiter() for _ in range(1000)]
    assert loop.timers == [2]
    for waiter in waiters:
        waiter.set_result(None)
    loop.pass_until(2)
    assert loop.timers == [2]
    patience.waiter()
    assert loop.timers == [2, 4]


def test_who_was_answered_is_not_told_and_does_not_keep_those_before(loop: Timers) -> None:
    silent: list[asyncio.Future[None]] = []

    def tell(waiter: asyncio.Future[None]) -> None:
        silent.append(waiter)
        waiter.set_result(None)

    patience = Patience(loop, 2, tell)
    slow, answered, gone = patience.waiter(), patience.waiter(), patience.waiter()
    answered.set_result(None)
    gone.cancel()
    loop.pass_until(2)
    assert silent == [slow]


def test_those_who_were_answered_are_not_held_any_longer(loop: Timers) -> None:
    patience = Patience(loop, 2, lambda waiter: waiter.set_result(None))
    answered = [weakref.ref(one) for one in made_and_answered(patience)]
    assert any(one() for one in answered)
    patience.waiter()
    assert not any(one() for one in answered)


def made_and_answered(patience: Patience) -> list[asyncio.Future[None]]:
    waiters = [patience.waiter() for _ in range(3)]
    for waiter in waiters:
        waiter.set_result(None)
    return waiters
