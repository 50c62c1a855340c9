"""Who comes in, for how long, and by what: a key, a cookie, the one link."""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from mcpgov.admin.access import AdminKey, AdminRefusal, Person, Role, mint_admin_key
from mcpgov.admin.sessions import LIFE, LINK_LIFE, Gate, Session, way_in
from mcpgov.errors import InvalidConfiguration
from mcpgov.identity.api_key import digest
from mcpgov.store.database import create_database
from mcpgov.store.sqlite_admin_keys import SqliteAdminKeys
from tests.audit.calls import NOW

SEAL = bytes(range(32))


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at


async def forget(_: str, __: Mapping[str, str]) -> None:
    """Nobody reads what is noted here."""


async def gate(folder: Path, link: str = "") -> tuple[Gate, SqliteAdminKeys, str, Clock]:
    create_database(folder / "mcpgov.db")
    keys, clock = SqliteAdminKeys(folder / "mcpgov.db"), Clock()
    key_id, key = mint_admin_key(secrets.choice)
    await keys.create(AdminKey(key_id, digest(key.reveal()), "dana", Role.OPERATOR, NOW))
    return Gate(keys, forget, SEAL, clock, link), keys, key.reveal(), clock


async def revoke_all(keys: SqliteAdminKeys) -> None:
    for key in await keys.list():
        await keys.revoke(key.id, NOW)


async def test_a_session_holds_for_twelve_hours(tmp_path: Path) -> None:
    door, _, key, clock = await gate(tmp_path)
    cookie = await door.sign_in(f" {key} ")
    session = await door.session(cookie)
    assert session is not None
    assert (session.person.name, session.person.role) == ("dana", Role.OPERATOR)
    clock.at += LIFE - timedelta(seconds=1)
    assert await door.session(cookie)
    clock.at += timedelta(seconds=1)
    assert await door.session(cookie) is None


async def test_a_session_ends_when_its_key_is_revoked(tmp_path: Path) -> None:
    door, keys, key, _ = await gate(tmp_path)
    cookie = await door.sign_in(key)
    session = await door.session(cookie)
    assert session
    await keys.revoke(session.person.key_id, NOW)
    assert await door.session(cookie) is None


async def test_a_cookie_of_nobody_opens_nothing(tmp_path: Path) -> None:
    door, _, key, _ = await gate(tmp_path)
    cookie = await door.sign_in(key)
    other = Gate(SqliteAdminKeys(tmp_path / "mcpgov.db"), forget, bytes(32), lambda: NOW)
    for wrong in ("", "x", cookie[:-1], cookie + "x", "A" * 5000, await other.sign_in(key)):
        assert await door.session(wrong) is None


async def test_the_link_is_good_once(tmp_path: Path) -> None:
    link = "the-link"
    door, keys, _, _ = await gate(tmp_path, link)
    await revoke_all(keys)
    assert await door.has_link()
    with pytest.raises(AdminRefusal, match="credential-invalid"):
        await door.open_link("x")
    session = await door.session(await door.open_link(link))
    assert session is not None
    assert (session.person.role, session.person.id, await door.has_link()) == (Role.ADMIN, "admin:link", False)
    with pytest.raises(AdminRefusal, match="credential-invalid"):
        await door.open_link(link)


async def test_the_link_ends_when_somebody_has_a_key(tmp_path: Path) -> None:
    door, keys, _, _ = await gate(tmp_path, "the-link")
    with pytest.raises(AdminRefusal, match="credential-invalid"):
        await door.open_link("the-link")
    await revoke_all(keys)
    assert not await door.has_link()


async def test_the_link_ends_after_a_quarter_of_an_hour(tmp_path: Path) -> None:
    door, keys, _, clock = await gate(tmp_path, "the-link")
    await revoke_all(keys)
    clock.at += LINK_LIFE - timedelta(seconds=1)
    assert await door.has_link()
    clock.at += timedelta(seconds=1)
    with pytest.raises(AdminRefusal, match="credential-invalid"):
        await door.open_link("the-link")


async def test_without_a_link_there_is_none_to_open(tmp_path: Path) -> None:
    door, _, _, _ = await gate(tmp_path)
    with pytest.raises(AdminRefusal, match="credential-invalid"):
        await door.open_link("")


async def test_a_form_is_good_in_its_own_session(tmp_path: Path) -> None:
    door, _, _, _ = await gate(tmp_path)
    mine, yours = (Session(Person("dana", Role.ADMIN), name) for name in ("1", "2"))
    door.check_form(mine, door.form_token(mine))
    for wrong in ("", "x", door.form_token(yours), "A" * 5000):
        with pytest.raises(AdminRefusal, match="origin-denied"):
            door.check_form(mine, wrong)


async def test_there_is_a_link_only_for_this_machine_and_while_nobody_has_a_key(tmp_path: Path) -> None:
    create_database(tmp_path / "empty.db")
    empty = SqliteAdminKeys(tmp_path / "empty.db")
    assert len(await way_in(empty, NOW, loopback=True)) == 43
    with pytest.raises(InvalidConfiguration, match=r"no admin key .*mcpgov keys admin NAME --role admin"):
        await way_in(empty, NOW, loopback=False)
    _, keys, _, _ = await gate(tmp_path)
    assert await way_in(keys, NOW, loopback=True) == ""
    assert await way_in(keys, NOW, loopback=False) == ""
    await revoke_all(keys)
    assert await way_in(keys, NOW, loopback=True) != ""
