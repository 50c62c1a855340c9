"""`serve --workers 2` over TLS on both listeners: calls go on while certificates are renewed, and bad ones stay out."""

import asyncio
import shutil
import ssl
from pathlib import Path

import aiohttp

from tests.flows.house import Client
from tests.flows.pack import SETTINGS, Pack, furnish, pack
from tests.flows.upstream import CityUpstream, listening
from tests.peers.process import free_port
from tests.peers.tls import throw_away_tls

TLS = "{ certificate: server.crt, key: server.key }"


def presented(port: int) -> str:
    """The certificate that a new connection is given."""
    return ssl.get_server_certificate(("127.0.0.1", port))


async def until_presented(port: int, certificate: str) -> None:
    """Return once every one of ten new connections in a row is given this certificate, whichever worker takes it."""
    async with asyncio.timeout(60):
        while {await asyncio.to_thread(presented, port) for _ in range(10)} != {certificate}:
            await asyncio.sleep(0)


def refusals(running: Pack) -> list[tuple[str, str]]:
    """The listeners whose new certificates the ledger says were refused, with where they are named."""
    control = [record for _, _, record in running.records("control")]
    refused = [one for one in control if one["mcpgov.control.event"] == "certificate-refused"]
    return [
        (one["mcpgov.control.listener"], one["mcpgov.control.problem"].partition(": ")[0].rpartition("/")[2])
        for one in refused
    ]


async def test_certificates_are_renewed_under_load_and_a_bad_pair_keeps_the_good_one(
    tmp_path: Path, upstream: CityUpstream
) -> None:
    admin = free_port()
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    old, new = throw_away_tls(tmp_path), throw_away_tls(fresh)
    trusted = old.client_context()
    trusted.load_verify_locations(new.ca_file)
    settings = f'tls: {TLS}\nadmin: {{ listen: "127.0.0.1:{admin}", tls: {TLS} }}\n{SETTINGS}'
    async with listening(upstream) as there:
        furnish(tmp_path, there, settings)
        async with pack(tmp_path) as running:
            url = await running.url()
            port = int(url.split("/")[2].rpartition(":")[2])
            assert url.startswith("https://")
            done = asyncio.Event()
            statuses: list[int] = []

            async def call_on() -> None:
                connector = aiohttp.TCPConnector(ssl=trusted, force_close=True)
                async with aiohttp.ClientSession(connector=connector) as http:
                    while not done.is_set():
                        statuses.append((await Client(http, url, "").call("get_city")).status)

            callers = [asyncio.create_task(call_on()) for _ in range(2)]
            shutil.copy(new.certificate_file, old.certificate_file)
            for index in range(2):
                await running.told("certificate-refused", worker=index, listener="tls")
            await running.told("certificate-refused", listener="admin.tls")
            assert presented(admin) != new.certificate_file.read_text()
            shutil.copy(new.key_file, old.key_file)
            await until_presented(port, new.certificate_file.read_text())
            await until_presented(admin, new.certificate_file.read_text())
            done.set()
            await asyncio.gather(*callers)
            async with (
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted)) as http,
                http.get(f"https://127.0.0.1:{admin}/console/sign-in") as page,
                http.get(f"https://127.0.0.1:{port}/livez") as alive,
            ):
                assert (page.status, alive.status) == (200, 200)
            assert await running.end() == 0
            assert set(statuses) == {200}
            told = {(listener, place.rpartition(":")[0]) for listener, place in refusals(running)}
            assert told == {("tls", "mcpgov.yaml:1"), ("admin.tls", "mcpgov.yaml:2")}
