"""Run the public conformance suite against the fixture server, directly and through mcpgov, and compare the two.

    python -m tests.conformance.suite [--direct]

The gateway stands in front four times: without policies, with one of each kind that allow everything, as the aggregate
of the fixture, a second one and a server that is down, and as two replicas behind a balancer that sends each request to
the next, where the programs for that are there (tests/peers/replicas.py). The claim is the line
`0 scenario(s) differ` for each revision, but for those which are known to differ (known.py), and no others. Anything
else, or a scored failure of the fixture server itself (two servers that fail alike prove nothing), ends the program
with 1. It ends with 2 when it could not run.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.conformance.compare import Known, Run, compare, load_run, passed_and_failed, surprises
from tests.conformance.known import THROUGH, THROUGH_AGGREGATE
from tests.peers.gateway import ALLOW_ALL, Upstream, gateway
from tests.peers.node import NODE, RegistryUnreachable, environment, install
from tests.peers.process import NotStarted, everything_server
from tests.peers.replicas import LEFT_OUT, can_run, replicas

REVISIONS: Final = ("2025-11-25", "2026-07-28")
SUITE_SECONDS: Final = 300
NOT_RUN: Final = 2
INTERRUPTED: Final = 130
NOWHERE: Final = "http://127.0.0.1:1/mcp"


@dataclass(frozen=True, slots=True)
class Suite:
    """The installed suite: its program, and a folder that it may fill."""

    program: Path
    scratch: Path

    def run(self, url: str, revision: str) -> tuple[Run, bool]:
        """Run every scenario of the revision; true when all scored ones passed (extensions are run, not scored)."""
        results = Path(tempfile.mkdtemp(dir=self.scratch))
        options = ["--url", url, "--requirements", revision, "-o", str(results)]
        done = subprocess.run(
            [str(NODE), str(self.program), "server", *options],
            check=False,
            capture_output=True,
            text=True,
            timeout=SUITE_SECONDS,
            env=environment(self.scratch),
        )
        return load_run(results), done.returncode == 0

    def run_directly(self, url: str) -> tuple[dict[str, Run], bool]:
        """Run every revision against the fixture server and say how it did; true when it conforms."""
        runs: dict[str, Run] = {}
        good = True
        for revision in REVISIONS:
            run, conforms = self.run(url, revision)
            passed, failed = passed_and_failed(run)
            verdict = "every scored scenario passed" if conforms else "a scored scenario failed"
            say(f"{revision}: {len(run)} scenarios, {passed} checks passed, {failed} failed; {verdict}")
            runs[revision] = run
            good = good and conforms and bool(run)
        return runs, good

    def run_through(
        self, url: str, direct: Mapping[str, Run], known: Mapping[str, Mapping[str, Known]] | None = None
    ) -> bool:
        """Run every revision through a gateway and say what differs from the direct run; true when that is `known`."""
        same = True
        for revision in REVISIONS:
            comparison = compare(direct[revision], self.run(url, revision)[0])
            expected = (known or {}).get(revision, {})
            surprising = surprises(comparison, expected)
            told = f", {len(expected)} known to" if expected else ""
            say("\n  ".join([f"{revision}: {comparison}{told}", *surprising]))
            same = same and not surprising
        return same


def say(line: str) -> None:
    """Print a line at once, so that a reader of a pipe sees how far the run is."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run_all(scratch: Path, *, direct_only: bool) -> bool:
    """The whole comparison; true when the fixture conforms and no gateway changes a verdict."""
    suite = Suite(install(Path(__file__).resolve().parent) / "conformance", scratch)
    with everything_server(scratch) as url:
        say("directly")
        direct, good = suite.run_directly(url)
        if direct_only:
            return good
        ways: Mapping[str, Mapping[str, Any] | None] = {
            "through mcpgov, without policies": None,
            "through mcpgov, with policies that allow everything": ALLOW_ALL,
        }
        for number, (title, policy) in enumerate(ways.items()):
            folder = scratch / f"gateway-{number}"
            with gateway(folder, [Upstream("everything", url)], policy) as base:
                say(title)
                good = suite.run_through(f"{base}/mcp/everything", direct, THROUGH) and good
        good = run_replicas(suite, url, direct) and good
        return run_aggregate(suite, url, direct) and good


def run_replicas(suite: Suite, url: str, direct: Mapping[str, Run]) -> bool:
    """The same through two replicas, whose limits are counted in one Redis; true when only what is known differs."""
    if not can_run():
        say(f"left out: {LEFT_OUT}")
        return True
    with replicas(suite.scratch / "replicas", [Upstream("everything", url)], ALLOW_ALL) as fleet:
        say("through two replicas behind a balancer")
        same = suite.run_through(f"{fleet.url}/mcp/everything", direct, THROUGH)
        wrote = len({writer for writer, _ in fleet.of("intent")})
    if wrote < len(fleet.replicas):
        say(f"  only {wrote} of {len(fleet.replicas)} replicas had a call")
    return same and wrote == len(fleet.replicas)


def run_aggregate(suite: Suite, url: str, direct: Mapping[str, Run]) -> bool:
    """The same through /mcp, where the fixture is the first of three members; true when only what is known differs."""
    second = suite.scratch / "second"
    second.mkdir()
    with everything_server(second) as other:
        members = [Upstream("everything", url), Upstream("second", other), Upstream("down", NOWHERE)]
        aggregate = {"connections": [member.name for member in members], "prefix": "never"}
        with gateway(suite.scratch / "aggregate", members, aggregate=aggregate) as base:
            say("through mcpgov, at /mcp")
            return suite.run_through(f"{base}/mcp", direct, THROUGH_AGGREGATE)


def main() -> None:
    """Run it in a folder that goes away; SIGTERM and Ctrl-C end it with everything that it started."""
    parser = argparse.ArgumentParser(prog="conformance", description="The MCP conformance suite, through mcpgov.")
    parser.add_argument("--direct", action="store_true", help="only the fixture server, without mcpgov")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="mcpgov-conformance-") as scratch:
            good = run_all(Path(scratch), direct_only=options.direct)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except (RegistryUnreachable, NotStarted) as error:
        say(f"not run: {error}")
        sys.exit(NOT_RUN)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
