"""What a large catalog costs: reading it, keeping it in memory, and asking the registry.

python -m benchmarks.catalog [ENTRIES]. Memory is what Python's allocator holds more than before.
"""

import gc
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from statistics import median

from mcpgov.registry.asked import Asked, cursor_of, parse_asked
from mcpgov.registry.pages import Reach, Shelf, Told, page, version_item
from mcpgov.reload import load_generation
from mcpgov.strict_json import dumps

ENTRIES = 10_000
ROUNDS = 50
TOLD = Told("https://mcp.contoso.com", "0" * 64)
EVERYBODY = Reach()


def write(folder: Path, entries: int) -> None:
    """A catalog of servers with a connection each."""
    (folder / "catalog").mkdir()
    (folder / "mcpgov.yaml").write_text("public_url: https://mcp.contoso.com\n")
    for number in range(entries):
        name = f"server-{number:05}"
        text = f"""\
name: com.contoso/{name}
title: Server number {number}
version: 1.0.0
description: What the team of number {number} offers to everybody who has something to look up
publisher: Contoso
categories: [Developer tools]
upstream: https://{name}.contoso.com/mcp
server: {{ repository: {{ url: 'https://github.com/contoso/{number}', source: github }} }}
connections:
  {name}: {{}}
"""
        (folder / "catalog" / f"{name}.yaml").write_text(text)


def timed(ask: Callable[[], object]) -> float:
    """The median of some rounds, in milliseconds."""
    times: list[float] = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        ask()
        times.append(time.perf_counter() - start)
    return median(times) * 1000


def held(read: Callable[[], object]) -> int:
    """What is held in bytes by what `read` gives back."""
    gc.collect()
    tracemalloc.start()
    kept = read()
    gc.collect()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del kept
    return size


def asked(shelf: Shelf, query: bytes) -> bytes:
    """The page that a query gets, as it is sent."""
    return dumps(page(shelf, EVERYBODY, parse_asked(query), TOLD))


def questions(shelf: Shelf, entries: int) -> dict[str, Callable[[], object]]:
    """What is asked, by what it is called."""
    middle, last = (f"com.contoso/server-{number:05}" for number in (entries // 2, entries - 1))
    cursor = cursor_of(Asked(), middle, "1.0.0").encode()
    return {
        "first page of 100": lambda: asked(shelf, b"limit=100&version=latest"),
        "page of 100 in the middle": lambda: asked(shelf, b"limit=100&cursor=" + cursor),
        "search that finds the last": lambda: asked(shelf, b"search=" + last.encode()),
        "search that finds none": lambda: asked(shelf, b"search=nothing-like-it"),
        "server by its name": lambda: version_item(shelf, EVERYBODY, (middle, "latest"), Asked(), TOLD),
    }


def part(shelf: Shelf) -> int:
    """What the registry keeps of all servers, in bytes."""
    size = sys.getsizeof
    return sum(
        size(one) + sum(map(size, (one.name, one.title, one.updated, one.ways, one.text, one.document, *one.ways)))
        for one in shelf
    )


def main() -> None:
    """Print what it costs."""
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, entries)
        start = time.perf_counter()
        shelf = load_generation(folder / "mcpgov.yaml").registry
        print(f"{entries} entries read in {time.perf_counter() - start:.1f} s")
        whole = held(lambda: load_generation(folder / "mcpgov.yaml"))
    print(f"memory of an entry     {whole / entries:8.0f} bytes, of which the registry's {part(shelf) / entries:.0f}")
    for called, ask in questions(shelf, entries).items():
        print(f"{called:<28}{timed(ask):8.2f} ms")


if __name__ == "__main__":
    main()
