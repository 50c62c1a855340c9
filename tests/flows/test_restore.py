"""A gateway that is saved while it serves, and restored elsewhere, serves the same keys; its proof holds."""

from pathlib import Path

import aiohttp
import pytest
from typer.testing import CliRunner

from mcpgov import app
from mcpgov.app import build_cli
from tests.flows.house import Client, House
from tests.flows.upstream import listening


def verb(*words: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(build_cli(), [str(word) for word in words])
    return done.exit_code, done.output


@pytest.mark.parametrize("keys", ["in the archive", "put back"])
async def test_a_gateway_goes_on_from_a_backup(
    gateway: House, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, keys: str
) -> None:
    key = await gateway.key()
    client = await gateway.client(key=key)
    assert (await client.call("get_forecast", {"city": "Oslo"})).status == 200
    place = tmp_path_factory.mktemp("restored")
    with_secrets = ("--with-secrets",) if keys == "in the archive" else ()
    assert verb("backup", place / "a.tar", "--config", tmp_path / "mcpgov.yaml", *with_secrets)[0] == 0
    assert (await client.call("get_forecast", {"city": "Bergen"})).status == 200  # is not in the copy
    assert verb("restore", place / "a.tar", "--into", place / "new")[0] == 0
    config = place / "new" / "mcpgov.yaml"
    assert verb("audit", "verify", "--config", config, "--no-record")[0] == 0
    if keys == "put back":
        for name in ("audit.db.key", "audit.db.signing-key"):
            (place / "new" / name).write_bytes((tmp_path / name).read_bytes())  # put back, as restore says
    async with app.running(config) as running, aiohttp.ClientSession() as http, listening(running.gateway) as url:
        assert (await Client(http, f"{url}/mcp/city", key).call("get_forecast", {"city": "Oslo"})).status == 200
    code, said = verb("audit", "verify", "--config", config, "--no-record")
    assert (code, "ok" in said) == (0, True)
