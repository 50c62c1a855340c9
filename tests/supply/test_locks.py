"""Locks pin names with hashes, name no place, and everything else is noticed."""

import pytest

from tests.supply.locks import LOCKS, Pin, faults, lock, pins

HASH = "0123456789abcdef" * 4
GOOD = f"""\
aiohttp==3.14.5 \\
    --hash=sha256:{HASH} \\
    --hash=sha256:{HASH[::-1]}
pywin32==312 ; sys_platform == 'win32' \\
    --hash=sha256:{HASH}
"""


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_of_a_lock_is_a_pin_with_hashes_and_names_no_place(name: str) -> None:
    assert list(faults(lock(name))) == []
    assert len(pins(lock(name))) == lock(name).count("==") - lock(name).count(" == ") - lock(name).count("'==")


def test_a_pin_is_read_with_its_marker_and_its_files() -> None:
    assert pins(GOOD) == [
        Pin("aiohttp", "3.14.5", "", (HASH, HASH[::-1])),
        Pin("pywin32", "312", "sys_platform == 'win32'", (HASH,)),
    ]
    assert list(faults(GOOD)) == []


@pytest.mark.parametrize(
    "line",
    [
        "aiohttp==3.14.5",
        f"aiohttp>=3.14.5 --hash=sha256:{HASH}",
        f"aiohttp --hash=sha256:{HASH}",
        f"aiohttp==3.* --hash=sha256:{HASH}",
        f"aiohttp===3.14.5 --hash=sha256:{HASH}",
        f"-r other.txt --hash=sha256:{HASH}",
        f"aiohttp==3.14.5 --hash=md5:{HASH[:32]}",
        f"aiohttp==3.14.5 --hash=sha256:{HASH[:63]}",
        f"aiohttp @ https://host.example/aiohttp.whl --hash=sha256:{HASH}",
        "git+https://host.example/aiohttp",
        "-e .",
        "--index-url https://host.example/simple",
        "--extra-index-url=https://host.example/simple",
        "--find-links wheels",
        "--trusted-host host.example",
    ],
)
def test_what_is_no_pin_with_hashes_is_a_fault(line: str) -> None:
    assert len(list(faults(GOOD + line + "\n"))) == 1
    assert len(pins(GOOD + line + "\n")) == 2
