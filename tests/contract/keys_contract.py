"""What all KeyStores keep. A store's tests derive from KeysContract and define the fixture `keys`."""

from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mcpgov.errors import StoreUnavailable
from mcpgov.identity.api_key import KeyRecord, KeyStore
from mcpgov.models import CallerScope

NOW = datetime(2026, 11, 20, 12, 0, 0, 654321, tzinfo=UTC)
KEY = KeyRecord("3fGh81Kx", "ab" * 32, "ci-agent", "payments", NOW, NOW + timedelta(days=90))


class KeysContract(ABC):
    """The contract."""

    @abstractmethod
    def change(self, column: str, value: object) -> None:
        """Set one column of every key, as another process does."""

    async def test_a_key_is_found_as_it_was_kept(self, keys: KeyStore) -> None:
        bare = KeyRecord("other", "cd" * 32, "", "", NOW + timedelta(seconds=1))
        await keys.create(KEY)
        await keys.create(bare)
        assert (await keys.find(KEY.id), await keys.find("other"), await keys.find("none")) == (KEY, bare, None)
        assert await keys.list() == [KEY, bare]

    async def test_an_id_is_not_given_twice(self, keys: KeyStore) -> None:
        await keys.create(KEY)
        with pytest.raises(StoreUnavailable):
            await keys.create(replace(KEY, name="another"))
        assert await keys.list() == [KEY]

    async def test_the_scope_of_a_key_is_kept_and_one_that_cannot_be_read_lets_nobody_in(self, keys: KeyStore) -> None:
        scoped = replace(KEY, scope=CallerScope(("github", "team-*"), ('get_"é',)), last_used_at=NOW, replaced_by="k2")
        half = replace(KEY, id="half", scope=CallerScope(None, ("get_*",)))
        for record in (scoped, half):
            await keys.create(record)
            assert await keys.find(record.id) == record
        for text in ("[", "5", "null"):
            self.change("tools", text)
            with pytest.raises(StoreUnavailable, match="scope of a key"):
                await keys.find(KEY.id)

    @pytest.mark.parametrize(("ends", "then"), [(None, 24), (90 * 24, 24), (1, 1)])
    async def test_a_rotated_key_ends_after_the_overlap_or_when_it_would_have(
        self, keys: KeyStore, ends: int | None, then: int
    ) -> None:
        old = replace(KEY, expires_at=None if ends is None else NOW + timedelta(hours=ends))
        new = replace(KEY, id="new", digest="cd" * 32, created_at=NOW + timedelta(seconds=1), expires_at=None)
        await keys.create(old)
        assert await keys.rotate(KEY.id, new, NOW + timedelta(hours=24))
        assert await keys.find(KEY.id) == replace(old, expires_at=NOW + timedelta(hours=then), replaced_by="new")
        assert await keys.find("new") == new
        assert not await keys.rotate(KEY.id, replace(new, id="newer"), NOW + timedelta(hours=24))

    @pytest.mark.parametrize(
        "changes", [{"revoked_at": NOW}, {"expires_at": NOW}, {"id": "other"}, {"replaced_by": "x"}]
    )
    async def test_what_is_not_in_force_or_was_rotated_is_not_rotated(
        self, keys: KeyStore, changes: dict[str, Any]
    ) -> None:
        await keys.create(replace(KEY, **changes))
        assert not await keys.rotate(KEY.id, replace(KEY, id="new"), NOW + timedelta(hours=24))
        assert await keys.find("new") is None

    async def test_a_rotation_that_fails_changes_nothing(self, keys: KeyStore) -> None:
        taken = replace(KEY, id="new")
        await keys.create(KEY)
        await keys.create(taken)
        with pytest.raises(StoreUnavailable):
            await keys.rotate(KEY.id, taken, NOW + timedelta(hours=1))
        assert await keys.find(KEY.id) == KEY

    async def test_the_last_use_is_kept_and_never_goes_back(self, keys: KeyStore) -> None:
        await keys.create(KEY)
        for at in (NOW, NOW + timedelta(minutes=1), NOW - timedelta(minutes=1)):
            await keys.touch({KEY.id: at, "none": at})
        assert await keys.list() == [replace(KEY, last_used_at=NOW + timedelta(minutes=1))]

    async def test_a_key_is_revoked_once_and_stays_known(self, keys: KeyStore) -> None:
        await keys.create(KEY)
        later = NOW + timedelta(hours=1)
        assert await keys.revoke(KEY.id, later)
        assert not await keys.revoke(KEY.id, later + timedelta(hours=1))
        assert not await keys.revoke("none", later)
        assert await keys.find(KEY.id) == replace(KEY, revoked_at=later)

    async def test_what_another_process_revokes_is_revoked_at_once(self, keys: KeyStore) -> None:
        await keys.create(KEY)
        assert (await keys.find(KEY.id)) == KEY
        self.change("revoked_at", 1)
        found = await keys.find(KEY.id)
        assert found is not None
        assert found.revoked_at == datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
