"""What all AdminKeyStores keep. A store's tests derive from AdminKeysContract and define the fixture `keys`."""

from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from mcpgov.admin.access import AdminKey, AdminKeyStore, Role
from mcpgov.errors import StoreUnavailable
from tests.audit.calls import NOW

KEY: Final = AdminKey("k1", "d" * 64, "dana", Role.OPERATOR, NOW, NOW + timedelta(days=1))


class AdminKeysContract(ABC):
    """The contract."""

    @abstractmethod
    def change(self, column: str, value: object) -> None:
        """Set one column of every key, as another process does."""

    async def test_a_key_is_kept_listed_and_revoked_once(self, keys: AdminKeyStore) -> None:
        await keys.create(KEY)
        await keys.create(replace(KEY, id="k0", created_at=NOW + timedelta(1), expires_at=None))
        assert await keys.find("k1") == KEY
        assert await keys.find("none") is None
        assert [key.id for key in await keys.list()] == ["k1", "k0"]
        assert await keys.revoke("k1", NOW)
        assert not await keys.revoke("k1", NOW)
        assert not await keys.revoke("none", NOW)
        found = await keys.find("k1")
        assert found is not None
        assert found.revoked_at == NOW

    async def test_an_id_is_not_given_twice(self, keys: AdminKeyStore) -> None:
        await keys.create(KEY)
        with pytest.raises(StoreUnavailable):
            await keys.create(replace(KEY, name="another"))
        assert await keys.list() == [KEY]

    async def test_a_role_that_is_not_known_is_the_least(self, keys: AdminKeyStore) -> None:
        await keys.create(KEY)
        self.change("role", "root")
        found = await keys.find("k1")
        assert found is not None
        assert found.role is Role.VIEWER
