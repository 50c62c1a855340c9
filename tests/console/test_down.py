"""A store that is down is said to people on a page, to programs in JSON, and with what to do."""

import sqlite3
from pathlib import Path

from mcpgov.admin.access import Role
from mcpgov.console.down import down_page
from tests.admin.house import AdminHouse


async def test_who_asks_for_a_page_gets_one(house: AdminHouse, tmp_path: Path) -> None:
    await house.sign_in(Role.VIEWER)
    database = sqlite3.connect(tmp_path / "mcpgov.db", isolation_level=None)
    database.execute("ALTER TABLE records RENAME TO secret_name")
    page = await house.ask("GET", "/console", {"accept": "text/html,*/*;q=0.8"})
    assert (page.status, page.headers["retry-after"]) == (503, "5")
    assert "The store is down" in page.text
    assert "style-src" in page.headers["content-security-policy"]
    said = await house.ask("GET", "/console", {"accept": "application/json"})
    assert (said.status, said.json["error"]["reason"]) == (503, "store-unavailable")
    assert "audit-unavailable" in said.json["error"]["message"]
    assert "secret_name" not in page.text + said.text
    database.execute("ALTER TABLE secret_name RENAME TO records")
    database.close()
    assert (await house.ask("GET", "/console", {"accept": "text/html"})).status == 200


def test_the_page_says_the_mend() -> None:
    assert "<code>audit.store</code>" in str(down_page())
