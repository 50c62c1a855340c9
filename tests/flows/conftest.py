"""A gateway and its upstream for each flow test."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.flows.house import House, house
from tests.flows.upstream import CityUpstream, listening


@pytest.fixture
def upstream() -> CityUpstream:
    """The upstream, not yet told how to behave."""
    return CityUpstream()


@pytest.fixture
async def gateway(tmp_path: Path, upstream: CityUpstream) -> AsyncGenerator[House]:
    """A gateway in front of the upstream, without policies."""
    async with listening(upstream) as url, house(tmp_path) as built:
        await built.furnish(f"{url}/mcp?tenant=a%20b&x=1")
        yield built
