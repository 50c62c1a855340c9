"""The console that these tests open."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.admin.house import AdminHouse, admin_house, with_keys


@pytest.fixture
async def house(tmp_path: Path) -> AsyncGenerator[AdminHouse]:
    """An admin plane over six calls, with a key for each role."""
    with admin_house(tmp_path) as made:
        yield await with_keys(made)
