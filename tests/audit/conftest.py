"""What several tests of the ledger stand on."""

from collections.abc import Iterator

import pytest

from tests.audit.timers import Timers


@pytest.fixture
def loop() -> Iterator[Timers]:
    loop = Timers()
    yield loop
    loop.close()
