"""What a large catalog costs: reading it, reading it again, keeping it in memory, and asking the registry.

python -m benchmarks.catalog [ENTRIES]. Memory is what Python's allocator holds more than before. A reload runs in a
thread, as in the gateway; meanwhile a page is asked for again and again, and the event loop wakes each millisecond: the
longest it was late is the longest that any call had to wait. Files count as unchanged by their date once they are ten
seconds old, for which the last look waits.
"""

import asyncio
import gc
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from mcpgov.registry.asked import Asked, cursor_of, parse_asked
from mcpgov.registry.pages import Reach, Shelf, Told, page, version_item
from mcpgov.reload import Generations, ReloadResult, load_generation, read_files
from mcpgov.strict_json import dumps
from mcpgov.text_files import SETTLED

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


class Beside:
    """What else gets done on the event loop while something runs in a thread."""

    def __init__(self, holder: Generations) -> None:
        self.late: list[float] = []
        self.pages: list[float] = []
        self._holder = holder

    async def run(self, called: str, work: Callable[[], object]) -> None:
        """Print what `work` took, and what it kept waiting."""
        self.late, self.pages = [], []
        waking = asyncio.create_task(self._wake())
        start = time.perf_counter()
        await asyncio.to_thread(work)
        took = time.perf_counter() - start
        waking.cancel()
        await asyncio.wait({waking})
        late = sorted(self.late)
        print(
            f"{called:<28}{took:8.2f} s, meanwhile: a page {median(self.pages) * 1000:.1f} ms, the event loop late by"
            f" {late[len(late) * 99 // 100] * 1000:.0f} ms at p99 and {late[-1] * 1000:.0f} ms at most"
        )

    async def _wake(self) -> None:
        while True:
            start = time.perf_counter()
            await asyncio.sleep(0.001)
            woken = time.perf_counter()
            self.late.append(woken - start - 0.001)
            asked(self._holder.current().registry, b"limit=100&version=latest")
            self.pages.append(time.perf_counter() - woken)


async def silent(_: ReloadResult) -> None:
    """A report that nobody reads."""


async def reloads(folder: Path) -> None:
    """Print what it costs to read the files again, and what that keeps waiting."""
    place, changed = folder / "mcpgov.yaml", folder / "catalog" / "server-00000.yaml"
    holder = Generations(place, silent)
    gc.freeze()  # as a gateway does
    beside = Beside(holder)
    await beside.run("reload, nothing changed", holder.try_reload)
    changed.write_text(changed.read_text().replace("Contoso", "Fabrikam"))
    await beside.run("reload, one file changed", holder.try_reload)
    await beside.run("everything parsed anew", partial(load_generation, place))
    await asyncio.sleep(SETTLED / 1e9)
    files = read_files(place).files
    await beside.run("a look, nothing changed", lambda: read_files(place, before=files).stamp)


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
        asyncio.run(reloads(folder))
        gc.unfreeze()
        whole = held(lambda: load_generation(folder / "mcpgov.yaml"))
    print(f"memory of an entry     {whole / entries:8.0f} bytes, of which the registry's {part(shelf) / entries:.0f}")
    for called, ask in questions(shelf, entries).items():
        print(f"{called:<28}{timed(ask):8.2f} ms")


if __name__ == "__main__":
    main()
