"""Every experiment at full length, one after the other, and a table of what came of them.

python -m tests.faults.long [--rounds N] [NAME ...]    N crashes (200), and of the experiments only those named
"""

import argparse
import os
import re
import subprocess
import sys
import time
from typing import Final

from tests.faults.tools import NOTED

EXPERIMENTS: Final = {
    "checker": ("the checker finds what is planted, and nothing else", ("test_checker.py", "test_planted.py")),
    "kill": ("kill -9 under load", ("test_kill_nine.py",)),
    "order": ("on the disk before it is sent", ("test_order.py",)),
    "disk": ("a disk that is full, or breaks down", ("test_full_disk.py",)),
    "store": ("a store that is locked, cut short or moved away", ("test_audit_store.py",)),
    "postgres": ("a PostgreSQL that goes away", ("test_postgres.py", "test_postgres_outage.py")),
    "outages": ("Redis or PostgreSQL is away, silent or slow", ("test_outages.py",)),
    "tail": ("a torn tail, at every byte", ("test_torn_tail.py",)),
    "errors": ("an error at each system call", ("test_io_errors.py",)),
    "clock": ("a clock that jumps", ("test_clock.py",)),
    "between": ("what goes wrong between the gateway and a server", ("test_between.py",)),
    "hooks": ("every hook raises", ("test_every_hook.py",)),
    "strings": ("hostile strings", ("test_hostile_strings.py",)),
}
LONG: Final = {"MCPGOV_ORDER_CALLS": "10000", "MCPGOV_EVERY_BYTE": "1", "MCPGOV_EVERY_FAULT": "1"}


def run(files: tuple[str, ...], environment: dict[str, str]) -> tuple[str, str]:
    """Run one experiment; gives back what came of it, and everything that it said."""
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *(f"tests/faults/{file}" for file in files),
    ]
    ran = subprocess.run(words, check=False, capture_output=True, text=True, env={**os.environ, **environment})
    return "ok" if ran.returncode == 0 else "FAILED", ran.stdout + ran.stderr


def main() -> int:
    """Run those that are wanted; gives back how many failed."""
    parser = argparse.ArgumentParser(prog="scripts/faults")
    parser.add_argument("--rounds", type=int, default=200, help="crashes of the experiment kill")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(EXPERIMENTS))
    wanted = parser.parse_args()
    if unknown := set(wanted.names) - set(EXPERIMENTS):
        parser.error(f"there is no experiment {', '.join(sorted(unknown))}; there are {', '.join(EXPERIMENTS)}")
    environment, failed = {**LONG, "MCPGOV_KILLS": str(wanted.rounds)}, 0
    for name in wanted.names or EXPERIMENTS:
        title, files = EXPERIMENTS[name]
        began = time.perf_counter()
        result, said = run(files, environment)
        passed = sum(map(int, re.findall(r"(\d+) passed", said)))
        sys.stdout.write(f"{result:<8}{name:<10}{title:<54}{passed:>5} tests{time.perf_counter() - began:>9.1f} s\n")
        sys.stdout.write("".join(f"{'':18}{note}\n" for note in dict.fromkeys(NOTED.findall(said))))
        sys.stdout.write("" if result == "ok" else said)
        sys.stdout.flush()
        failed += result != "ok"
    return failed


if __name__ == "__main__":
    sys.exit(main())
