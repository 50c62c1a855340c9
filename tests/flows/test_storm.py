"""Two hundred clients at once on one connection, in both eras, all with the id 1: nobody gets what is another's."""

from pathlib import Path

from tests.flows.storm import storm


async def test_of_two_hundred_clients_that_come_and_leave_none_gets_anothers_canary(tmp_path: Path) -> None:
    seen = await storm(tmp_path, clients=200, calls=1000)
    assert seen.foreign == []
    assert set(seen.ended) == {"answered", "left"}
    assert seen.ended.total() == 1000
