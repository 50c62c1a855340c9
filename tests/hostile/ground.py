"""Where the attacks are made: the gateway as a process of its own, in front of the upstreams whose ledgers judge."""

import asyncio
import json
import os
import re
import secrets
import sqlite3
import sys
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from mcpgov import app
from mcpgov.audit.redact import Digester
from mcpgov.catalog.entries import parse_entry
from mcpgov.credential.references import EnvironmentAndFiles
from mcpgov.errors import InvalidConfiguration
from mcpgov.identity.api_key import KeyRecord, digest, mint_key
from tests.hostile.answers import Trap, traps
from tests.hostile.names import leading_here
from tests.hostile.score import Evidence, Score, judge, stowaways
from tests.hostile.wire import EVIL, Case, Said, ask
from tests.hostile.witness import Noted, RawWitness, SdkWitness, fast, with_session
from tests.peers.node import NODE, RegistryUnreachable, environment, install
from tests.peers.process import first_line, free_port, running, wait_until_answers

ROOT: Final = Path(__file__).resolve().parents[2]
AT_ONCE: Final = 24  # connections
# So that memory which is free is given back, and what a body costs can be told from what others have cost before.
GIVES_BACK: Final = {"MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_MMAP_THRESHOLD_": "65536"}
SESSIONS: Final = 3  # connections that open sessions
PROXY: Final = "127.0.0.3"  # whose X-Forwarded-For is believed
INJECTED: Final = re.compile(rb"[\r\n\x0b\x0c\x85][ \t]*x-injected", re.IGNORECASE)
SECRET: Final = "upstream-key-7f3a9c"
POLICIES: Final[Mapping[str, Any]] = {
    "picky": {"inbound": [{"tool-rules": {"allow": ["safe_tool", "get_*"], "deny": ["get_secret"]}}]},
    "walled": {"inbound": [{"ip-filter": {"action": "allow", "addresses": ["203.0.113.0/24"]}}]},
    "fenced": {
        "inbound": [
            {"ip-filter": {"action": "forbid", "addresses": ["127.0.0.0/8", "10.0.0.0/8", "169.254.0.0/16", "::1"]}}
        ]
    },
}
SETTINGS: Final[Mapping[str, Any]] = {
    "audit": {"store": "sqlite:///mcpgov.db", "durability": "os-cache"},
    "health": {"every": "off"},
    "trusted_proxies": [f"{PROXY}/32"],
    "limits": {
        "header_seconds": 5,  # whoever sends at once has this long, however busy the machine is
        "body_seconds": 5,
        "idle_seconds": 5,
        "answer_bytes": 4 << 20,
        "event_bytes": 1 << 20,
        "events": 1000,
        "answer_seconds": 3,
    },
}

SDKS: Final = ("python", "typescript")  # whose servers are witnesses, where they can be had


@dataclass
class Ground:
    """The gateway, its witnesses and its files. `left_out` says what could not be had."""

    folder: Path
    raw: RawWitness
    canary: RawWitness
    traps: tuple[Trap, ...] = ()
    sdks: dict[str, SdkWitness] = field(default_factory=dict[str, SdkWitness])
    left_out: list[str] = field(default_factory=list[str])
    port: int = 0
    pid: int = 0
    names: dict[str, str] = field(default_factory=dict[str, str])  # connections to names that lead back here
    told: int = 0
    spilled: list[str] = field(default_factory=list[str])
    caller: str = ""  # the key that every case is sent with
    _read: int = 0

    async def try_all(self, score: Score, cases: Iterable[Case], at_once: int = AT_ONCE) -> list[Said]:
        """Make every attempt of a class, and judge it by the ledgers."""
        waiting = filter(self.can_be_tried, cases)
        said: list[Said] = []

        async def work() -> None:
            said.extend([await ask(self.port, case, self.caller) for case in waiting])

        await asyncio.gather(*(work() for _ in range(at_once)))
        self.look_for_secrets(said)
        evidence = await self.evidence()
        for noted in [one for some in evidence.noted.values() for one in some if self.tells(one)]:
            score.leaks.append(f"an upstream was told what it must not know: {noted.everything[:300]!r}")
        for one in said:
            judge(score, one, evidence)
        stowaways(score, evidence)
        return said

    def can_be_tried(self, case: Case) -> bool:
        """Whether the server that a case is for is here."""
        line, _, _ = case.raw.partition(b"\r\n")
        return not any(f"/mcp/{name}".encode() in line for name in SDKS if name not in self.sdks)

    def look_for_secrets(self, said: Iterable[Said]) -> None:
        """Note every answer that tells a client of a key, of where the upstream is, or of how we are made."""
        secret = (SECRET, self.caller, str(self.folder), f"127.0.0.1:{self.raw.port}", "Traceback", "site-packages",
            ".py")  # fmt: skip
        for one in said:
            self.told += 1
            self.spilled += [f"{one.case.name} was told {word}" for word in secret if word.encode() in one.raw]

    def fitting(self, urls: Iterable[str]) -> dict[str, str]:
        """Those URLs that a catalog without `private` takes at all, by the connections that are to lead there."""
        fit: dict[str, str] = {}
        for at, url in enumerate(urls):
            text = yaml.safe_dump(entry(f"name-{at}", url) | {"private": False})
            with suppress(InvalidConfiguration):
                parse_entry(text, "name.yaml", EnvironmentAndFiles({}))
                fit[f"name-{at}"] = url
        return fit

    def tells(self, noted: Noted) -> bool:
        """Whether an upstream was told of the tool that nobody may call, of the caller's key, or in a field put in."""
        told = EVIL.encode() in noted.everything or self.caller.encode() in noted.everything
        return told or INJECTED.search(noted.everything) is not None

    async def evidence(self) -> Evidence:
        """Everything that was noted since this was last asked."""
        everything = [*self.raw.ledger, *(one for sdk in self.sdks.values() for one in sdk.news())]
        self.raw.ledger.clear()
        noted: dict[str, list[Noted]] = {}
        for one in everything:
            noted.setdefault(one.correlation, []).append(one)
        return Evidence(noted, self.records(), self.digest)

    def records(self) -> dict[str, dict[str, object]]:
        """The records of calls, by correlation id, that were written since this was last asked."""
        with closing(sqlite3.connect(self.folder / "mcpgov.db")) as database:
            query = "SELECT id, record FROM records WHERE id > ? ORDER BY id"
            rows: list[tuple[int, str]] = database.execute(query, (self._read,)).fetchall()
        found: dict[str, dict[str, object]] = {}
        for number, text in rows:
            record: dict[str, object] = json.loads(text)
            found[str(record.get("correlation_id"))] = found.get(str(record.get("correlation_id")), {}) | record
            self._read = number
        return found

    def digest(self, value: bytes) -> str:
        """What a record has of arguments that are these bytes."""
        [key, *_] = app.openers().digest_keys(self.folder / "mcpgov.yaml")
        return Digester(key).fingerprint(value).digest

    async def key(self, name: str) -> str:
        """A gateway key that holds."""
        key_id, key = mint_key(secrets.choice)
        async with app.openers().keys(self.folder / "mcpgov.yaml") as keys:
            await keys.create(KeyRecord(key_id, digest(key.reveal()), name, "hostile", datetime.now(UTC)))
        return key.reveal()

    def write(self, port: int, urls: Mapping[str, str]) -> Path:
        """The gateway's files; gives back the one that it starts with."""
        config = self.folder / "mcpgov.yaml"
        config.write_text(yaml.safe_dump({"listen": f"127.0.0.1:{port}", **SETTINGS}))
        for name in ("catalog", "policies"):
            (self.folder / name).mkdir()
        for name, policy in POLICIES.items():
            (self.folder / "policies" / f"{name}.yaml").write_text(yaml.safe_dump(policy))
        for name, url in urls.items():
            (self.folder / "catalog" / f"{name}.yaml").write_text(yaml.safe_dump(entry(name, url)))
        for name, url in self.names.items():
            text = yaml.safe_dump(entry(name, url) | {"private": False})
            (self.folder / "catalog" / f"{name}.yaml").write_text(text)
        return config


def entry(name: str, url: str) -> dict[str, Any]:
    """A catalog entry with one connection, under the policy of the same name where there is one."""
    keys = {"X-Upstream-Key": SECRET, "Authorization": f"Bearer {SECRET}"}
    policies = [name] if name in POLICIES else []
    return {
        "name": f"dev.mcpgov/{name}",
        "upstream": url,
        "private": True,
        "connections": {name: {"authType": "CustomKeys", "keys": keys, "policies": policies, "timeout": "15s"}},
    }


def start_sdks(ground: Ground, stack: ExitStack) -> dict[str, str]:
    """Start the servers written with the official SDKs; gives back their URLs."""
    ledgers = {name: ground.folder / f"{name}.jsonl" for name in SDKS}
    commands: dict[str, Sequence[str]] = {
        "python": [sys.executable, "-m", "tests.hostile.sdk_server", str(ledgers["python"])]
    }
    try:
        modules = install(ROOT / "tests" / "peers").parent
    except RegistryUnreachable as error:
        ground.left_out.append(f"the TypeScript SDK as a witness: {error}")
    else:
        script = ROOT / "tests" / "hostile" / "ts_server.cjs"
        commands["typescript"] = [str(NODE), str(script), str(modules), str(ledgers["typescript"])]
    urls: dict[str, str] = {}
    for name, command in commands.items():
        log = ground.folder / f"{name}.log"
        program = stack.enter_context(running(command, log, cwd=ROOT, env=environment(ground.folder)))
        urls[name] = first_line(program, log)
        ground.sdks[name] = SdkWitness(ledgers[name])
    return urls


@asynccontextmanager
async def ground(folder: Path, *, whole: bool = True) -> AsyncGenerator[Ground]:
    """Everything, running; without the hostile upstreams and the names that lead back unless it is the whole."""
    built = Ground(folder, RawWitness(), RawWitness())
    await built.canary.open("127.0.0.2")
    built.traps = traps(built.canary.port) if whole else ()
    answers = {f"/trap-{at}": trap.answer for at, trap in enumerate(built.traps)}
    built.raw.answers = answers | {"/sessions": with_session, "/fast": fast}
    await built.raw.open()
    base = f"http://127.0.0.1:{built.raw.port}"
    try:
        with ExitStack() as stack:
            urls = dict.fromkeys(("raw", *POLICIES), f"{base}/mcp")
            urls |= {path.strip("/"): f"{base}{path}" for path in built.raw.answers}
            urls |= {f"session-{at}": f"{base}/sessions" for at in range(SESSIONS)}
            urls |= await asyncio.to_thread(start_sdks, built, stack)
            leading = leading_here(built.canary.port) if whole else ()
            built.names = await asyncio.to_thread(built.fitting, leading)
            built.port = free_port()
            command = [sys.executable, "-m", "mcpgov", "serve", "--config", str(built.write(built.port, urls))]
            built.caller = await built.key("caller")
            log = folder / "gateway.log"
            program = stack.enter_context(running([*command, "--log-format", "json"], log, cwd=folder,
                env=os.environ | GIVES_BACK))  # fmt: skip
            built.pid = program.pid
            await asyncio.to_thread(wait_until_answers, f"http://127.0.0.1:{built.port}/readyz", program, log)
            yield built
    finally:
        await built.raw.close()
        await built.canary.close()
