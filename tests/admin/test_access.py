"""Admin keys open the admin plane and nothing else; roles contain one another; what no rule allows is refused."""

import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path

import pytest

from mcpgov.admin.access import STATUS, AdminKey, AdminRefusal, Fault, Person, Role, mint_admin_key, person_of, require
from mcpgov.errors import Refusal
from mcpgov.identity.api_key import ApiKeyAuthenticator, KeyRecord, digest, mint_key
from mcpgov.models import Headers
from mcpgov.store.database import create_database
from mcpgov.store.sqlite_admin_keys import SqliteAdminKeys
from mcpgov.store.sqlite_keys import SqliteKeyStore
from tests.audit.calls import NOW, head


async def kept(
    folder: Path, role: Role = Role.VIEWER, expires_at: datetime | None = None
) -> tuple[SqliteAdminKeys, str]:
    create_database(folder / "mcpgov.db")
    keys = SqliteAdminKeys(folder / "mcpgov.db")
    key_id, key = mint_admin_key(secrets.choice)
    await keys.create(AdminKey(key_id, digest(key.reveal()), "dana", role, NOW, expires_at))
    return keys, key.reveal()


async def test_the_holder_of_a_key_is_known_by_name_and_role(tmp_path: Path) -> None:
    keys, key = await kept(tmp_path, Role.OPERATOR)
    person = await person_of(key, keys, NOW)
    assert (person.name, person.role, person.id) == ("dana", Role.OPERATOR, f"admin:{person.key_id}")
    assert key.startswith("mcpgov_admin_")
    assert Person("this machine", Role.ADMIN).id == "admin:link"


async def test_a_wrong_key_opens_nothing(tmp_path: Path) -> None:
    keys, key = await kept(tmp_path)
    other = mint_admin_key(secrets.choice)[1].reveal()
    for wrong in ("", "x", "mcpgov_admin_", key[:-1], key + "x", key.swapcase(), other, key.replace("admin_", "", 1)):
        with pytest.raises(AdminRefusal, match="credential-invalid"):
            await person_of(wrong, keys, NOW)


async def test_a_key_that_ended_opens_nothing_and_says_why(tmp_path: Path) -> None:
    keys, key = await kept(tmp_path, expires_at=NOW + timedelta(hours=1))
    await person_of(key, keys, NOW)
    with pytest.raises(AdminRefusal, match="credential-expired"):
        await person_of(key, keys, NOW + timedelta(hours=1))
    assert await keys.revoke((await person_of(key, keys, NOW)).key_id, NOW)
    with pytest.raises(AdminRefusal, match="credential-revoked"):
        await person_of(key, keys, NOW)


async def test_a_gateway_key_never_reaches_the_admin_plane(tmp_path: Path) -> None:
    keys, _ = await kept(tmp_path)
    gateway = SqliteKeyStore(tmp_path / "mcpgov.db")
    key_id, key = mint_key(secrets.choice)
    await gateway.create(KeyRecord(key_id, digest(key.reveal()), "ci", "", NOW))
    for presented in (key.reveal(), key.reveal().replace("mcpgov_", "mcpgov_admin_", 1)):
        with pytest.raises(AdminRefusal, match="credential-invalid"):
            await person_of(presented, keys, NOW)
    gateway.close()


async def test_an_admin_key_calls_no_tool(tmp_path: Path) -> None:
    _, key = await kept(tmp_path, Role.ADMIN)
    gateway = SqliteKeyStore(tmp_path / "mcpgov.db")
    presented = replace(head(), headers=Headers((("authorization", f"Bearer {key}"),)))
    with pytest.raises(Refusal, match="credential-invalid"):
        await ApiKeyAuthenticator(gateway, ("authorization",), lambda: NOW).authenticate(presented)
    gateway.close()


@pytest.mark.parametrize(("have", "need"), list(product(Role, Role)))
def test_a_role_allows_itself_and_what_is_below_it(have: Role, need: Role) -> None:
    order = [Role.VIEWER, Role.OPERATOR, Role.ADMIN]
    if order.index(have) >= order.index(need):
        require(Person("dana", have), need)
    else:
        with pytest.raises(AdminRefusal, match=f"needs the role {need}; you have {have}"):
            require(Person("dana", have), need)


def test_every_fault_has_a_status() -> None:
    assert set(STATUS) == set(Fault)
