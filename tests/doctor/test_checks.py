"""Each thing that was planted is found, alone, where it stands and with its mend; where nothing was, nothing is."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mcpgov.doctor.checks import CHECKS, judged, misconfigured, ordered
from mcpgov.doctor.facts import Condition, FileFacts, Finding, FolderFacts, KeyFacts, Kind, Level, Machine
from mcpgov.errors import Problem
from mcpgov.replicas import Serving
from tests.doctor.planted import FOLDER, KEY, NOW, POSTGRES, healthy, only, presented

LOCAL = "listen: 127.0.0.1:8080\n"
PUBLIC = "listen: 0.0.0.0:8080\n"
ADMIN = f"{LOCAL}admin: {{ listen: '0.0.0.0:8081' }}\n"
ADMIN_TLS = f"{LOCAL}admin: {{ listen: '0.0.0.0:8081', public_url: 'https://console.contoso.com' }}\n"
REDIS = LOCAL + "counters: { url: 'redis://cache:6379', when_down: %s }\n"
ENTRA = "identity: { entra: { tenant_id: 00000000-1111-2222-3333-444444444444, audiences: [a] } }\n"
SOON = replace(KEY, expires_at=NOW + timedelta(days=3))
EXPIRED, REVOKED = replace(KEY, expires_at=NOW), replace(KEY, revoked_at=NOW)
PROXY = "listen: 0.0.0.0:8080\npublic_url: https://mcp.contoso.com\n"
PAIR = "{ certificate: server.crt, key: server.key }"
TLS = f"{PROXY}tls: {PAIR}\n"
ADMIN_PAIR = f"{LOCAL}admin: {{ listen: '0.0.0.0:8081', tls: {PAIR} }}\n"

MINE = Serving("a", "2026-11-21T00:00:00.000000Z", "0a1b2c3d", "memory")
SHARED = replace(MINE, counters="redis://cache:6379")
THEIRS = replace(SHARED, digest_key="ffffffff", counters="per-worker")


def in_folder(**fields: Any) -> Mapping[str, Any]:
    return {"store": {"folder": replace(FOLDER, **fields)}}


def inside(**fields: Any) -> Mapping[str, Any]:
    return {"store": {"condition": Condition(**fields)}}


def running(*gateways: Serving) -> Mapping[str, Any]:
    return {"gateways": gateways, "key_ids": (MINE.digest_key,)}


def file(kind: Kind, mode: int) -> Mapping[str, Any]:
    return {"files": (FileFacts("f", kind, mode),)}


# Settings, what is planted, the check that finds it, how bad it is, where it says so, and of what the mend speaks.
PLANTED: list[tuple[str, Mapping[str, Any], str, str, str, str]] = [
    (LOCAL, {"store": {"fault": "db: no such host"}}, "store-unavailable", "wrong", "mcpgov.yaml:1:1", "operations.md"),
    (LOCAL, {"store": {"found": 5}}, "store-older", "warning", "mcpgov.yaml:1:1", "mcpgov store migrate"),
    (LOCAL, inside(damage="page 7 is never used"), "store-damaged", "wrong", "mcpgov.yaml", "mcpgov restore"),
    (LOCAL, {"store": {"keys_missing": ("a.key",)}}, "key-file-missing", "wrong", "mcpgov.yaml", "put it back"),
    (LOCAL, in_folder(fault="Permission denied"), "folder-not-writable", "wrong", "mcpgov.yaml", "mcpgov's user"),
    (LOCAL, in_folder(flush=0.25), "flush-slow", "warning", "mcpgov.yaml", "local disk"),
    (LOCAL, in_folder(free=500 << 20), "disk-filling", "warning", "mcpgov.yaml", "audit.keep_days"),
    (LOCAL, in_folder(free=1 << 20), "disk-full", "wrong", "mcpgov.yaml", "make room"),
    (LOCAL, in_folder(kind="nfs4"), "network-file-system", "wrong", "mcpgov.yaml", "PostgreSQL"),
    (LOCAL, in_folder(kind="cifs"), "network-file-system", "wrong", "mcpgov.yaml", "local disk"),
    (LOCAL, in_folder(kind="tmpfs"), "store-in-memory", "wrong", "mcpgov.yaml", "a disk"),
    (LOCAL, inside(clock=NOW + timedelta(seconds=6)), "clock-skew", "warning", "mcpgov.yaml", "NTP"),
    (LOCAL, inside(clock=NOW - timedelta(seconds=6)), "clock-skew", "warning", "mcpgov.yaml", "NTP"),
    (LOCAL, inside(newest=NOW + timedelta(minutes=1)), "clock-set-back", "warning", "mcpgov.yaml", "NTP"),
    (LOCAL, file(Kind.KEY, 0o640), "readable-by-others", "wrong", "f:", "chmod 600 f"),
    (LOCAL, file(Kind.STORE, 0o604), "readable-by-others", "wrong", "f:", "chmod 600 f"),
    (LOCAL, file(Kind.NAMED, 0o444), "readable-by-others", "wrong", "f:", "chmod 600 f"),
    (LOCAL, file(Kind.CONFIGURATION, 0o664), "writable-by-others", "wrong", "f:", "chmod go-w f"),
    (LOCAL, file(Kind.KEY, 0o602), "writable-by-others", "wrong", "f:", "chmod go-w f"),
    (ADMIN_TLS, {"keys": KeyFacts((KEY,), 0)}, "admin-exposed", "wrong", "mcpgov.yaml:2:8", "mcpgov keys admin"),
    (ADMIN, {}, "admin-without-tls", "warning", "mcpgov.yaml:2:8", "admin.tls"),
    (PUBLIC, {}, "public-url-missing", "warning", "mcpgov.yaml:1:9", "add public_url"),
    (f"{LOCAL}trusted_proxies: [10.0.0.0/8]\n", {}, "public-url-missing", "warning", "mcpgov.yaml:1", "public_url"),
    (
        f"{PUBLIC}public_url: http://127.0.0.1:8080\n",
        {},
        "public-url-mismatch",
        "warning",
        "mcpgov.yaml:2:13",
        "listen",
    ),
    (
        *(TLS, {"certificates": (presented(TLS, "tls", days=29),)}),
        *("certificate-expires", "warning", "mcpgov.yaml:3:21", "in the same places"),
    ),
    (
        *(ADMIN_PAIR, {"certificates": (presented(ADMIN_PAIR, "admin", "tls", days=-1),)}),
        *("certificate-expires", "warning", "mcpgov.yaml:2:54", "in the same places"),
    ),
    (PROXY, {}, "proxy-not-trusted", "warning", "mcpgov.yaml:2:13", "trusted_proxies"),
    (LOCAL, {"keys": KeyFacts()}, "nobody-can-call", "wrong", "mcpgov.yaml", "mcpgov keys create"),
    (LOCAL, {"keys": KeyFacts((EXPIRED, REVOKED))}, "nobody-can-call", "wrong", "mcpgov.yaml", "mcpgov keys create"),
    (LOCAL, {"keys": KeyFacts((SOON,))}, "key-expires", "warning", "mcpgov.yaml", "mcpgov keys rotate 3fGh81Kx"),
    (POSTGRES, {}, "counters-not-shared", "warning", "mcpgov.yaml:1:17", "redis://"),
    (LOCAL, {"server": {"fault": "gave no answer"}}, "unreachable", "wrong", "github.yaml:2:11", "connections test"),
    (LOCAL, {"server": {"skew": -7.0}}, "clock-skew", "warning", "catalog/github.yaml:2:11", "NTP"),
    (LOCAL, {"server": {"expires": NOW + timedelta(days=29)}}, "certificate-expires", "warning", "2:11", "renew"),
    (REDIS % "deny", {"redis": "Redis did not count"}, "redis-unavailable", "wrong", "mcpgov.yaml:2:11", "running"),
    (REDIS % "local", {"redis": "Redis did not count"}, "redis-unavailable", "warning", "mcpgov.yaml:2:11", "running"),
    (LOCAL, {"machine": Machine((3, 13), descriptors=1024)}, "too-few-descriptors", "warning", "mcpgov", "LimitNOFILE"),
    (LOCAL, {"machine": Machine((3, 13), fts5=False)}, "sqlite-without-fts5", "wrong", "this machine", "whose SQLite"),
    (
        *(
            LOCAL,
            {"machine": Machine((3, 11)), "now": NOW + timedelta(days=400), "keys": None, "server": {"expires": None}},
        ),
        *("python-too-old", "warning", "this machine", "newer Python"),
    ),
    (LOCAL, running(THEIRS), "keys-differ", "wrong", "mcpgov.yaml", "secrets.former_keys"),
    (LOCAL, running(MINE, MINE), "limits-apart", "wrong", "mcpgov.yaml", "counters: per-worker"),
    (
        REDIS % "deny",
        running(SHARED, replace(SHARED, counters="redis://old:6379")),
        "counters-differ",
        "warning",
        "mcpgov.yaml:2",
        "restart",
    ),
]


@pytest.mark.parametrize(("text", "planted", "check", "level", "where", "mend"), PLANTED)
def test_what_was_planted_is_found_with_its_mend(
    text: str, planted: Mapping[str, Any], check: str, level: str, where: str, mend: str
) -> None:
    found = only(text, planted)
    assert (found.check, found.level.value) == (check, level)
    assert where in str(found.problem)
    assert mend in found.problem.mend


@pytest.mark.parametrize(
    ("text", "planted"),
    [
        (LOCAL, {}),
        (PROXY + "trusted_proxies: [10.0.0.0/8]\n", {}),
        (ADMIN_TLS, {}),
        (TLS, {"certificates": (presented(TLS, "tls", days=31),)}),
        (ADMIN_PAIR, {}),
        (f"{LOCAL}admin: {{}}\n", {"keys": KeyFacts((KEY,), 0)}),
        (POSTGRES + "counters: per-worker\n", {}),
        (POSTGRES + "counters: redis://cache:6379\n", {}),
        (f"{LOCAL}identity: {{ allow_anonymous: true }}\n", {"keys": KeyFacts()}),
        (ENTRA, {"keys": KeyFacts((EXPIRED,))}),
        (LOCAL, {"keys": KeyFacts((replace(SOON, replaced_by="other"),))}),
        (LOCAL, {"keys": None, "server": {"skew": None, "expires": None}}),
        (LOCAL, {"store": {"found": 0, "condition": Condition()}}),
        (LOCAL, inside(clock=NOW + timedelta(seconds=4), newest=NOW + timedelta(seconds=4))),
        (LOCAL, file(Kind.NAMED, 0o440)),
        (LOCAL, {"stores": ()}),
        (LOCAL, {"store": {"folder": None}}),
        (LOCAL, {"machine": Machine((3, 99))}),
        (f"{LOCAL}limits: {{ connections: 500 }}\n", {"machine": Machine((3, 13), descriptors=1024)}),
    ],
)
def test_a_healthy_gateway_gives_no_finding(text: str, planted: Mapping[str, Any]) -> None:
    assert judged(healthy(text, **planted)) == []


def test_several_things_are_all_told_the_worst_first() -> None:
    facts = healthy(PUBLIC, store={"found": 5, "folder": FolderFacts("/x", "nfs", 0, 9.0)}, keys=KeyFacts())
    levels = [finding.level for finding in judged(facts)]
    assert len(levels) == 6
    assert levels == sorted(levels, key=lambda level: level is Level.WARNING)


def test_what_the_files_say_wrong_is_wrong() -> None:
    problem = Problem("mcpgov.yaml", 3, 1, "there is no key lisen here", "did you mean listen?")
    assert misconfigured([problem]) == [Finding(Level.WRONG, "configuration", problem)]
    assert ordered([]) == []


def test_every_check_was_planted_something_for() -> None:
    found = {id(check) for check in CHECKS for text, planted, *_ in PLANTED if list(check(healthy(text, **planted)))}
    assert found == {id(check) for check in CHECKS}
