"""A local server as a process: what it inherits, what is heard of it, how it ends."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator

import pytest
from structlog.testing import capture_logs

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import LocalUpstream, Secret
from mcpgov.upstream.stdio_process import (
    LOGGED_CHARACTERS,
    LOGGED_LINES,
    StdioLimits,
    StdioProcess,
    environment_of,
    one_line,
    printable,
)

QUICK = StdioLimits(message_bytes=100_000, grace=0.2)
ECHO = "import sys\nfor line in sys.stdin.buffer: sys.stdout.buffer.write(line); sys.stdout.flush()"


async def start(code: str, *environment: tuple[str, Secret]) -> StdioProcess:
    upstream = LocalUpstream((sys.executable, "-I", "-S", "-c", code), environment)
    return await StdioProcess.start("test", upstream, QUICK)


@pytest.fixture
async def echo() -> AsyncGenerator[StdioProcess, None]:
    process = await start(ECHO)
    yield process
    await process.stop()


async def test_messages_go_out_and_come_back_as_lines(echo: StdioProcess) -> None:
    lines = echo.lines()
    for message in (b'{"a":\r\n1}', b"{}", b'"' + b"x" * 90_000 + b'"'):
        await echo.send(message)
        assert await anext(lines) == message.replace(b"\r", b" ").replace(b"\n", b" ")
    await lines.aclose()


async def test_the_lines_end_with_the_process_and_what_is_unfinished_is_no_line() -> None:
    process = await start("print('one'); print('two', end='')")
    assert [line async for line in process.lines()] == [b"one"]
    await process.stop()


async def test_nothing_can_be_sent_to_a_process_that_has_stopped(echo: StdioProcess) -> None:
    await asyncio.gather(echo.stop(), echo.stop())
    with pytest.raises(Refusal) as refusal:
        await echo.send(b"{}")
    assert refusal.value.reason is Reason.UPSTREAM_RESET
    echo.send_now(b"{}")


async def test_what_a_process_left_behind_ends_with_it() -> None:
    process = await start(
        "import subprocess\nsubprocess.Popen(['sleep', '3600'], stdin=subprocess.DEVNULL)\nprint('started')"
    )
    lines = process.lines()
    assert await anext(lines) == b"started"
    await process.stop()
    async with asyncio.timeout(10):  # `sleep` holds the pipe open as long as it lives
        assert [line async for line in lines] == []


GOT_AWAY = """
import asyncio, os, signal, sys
from mcpgov.models import LocalUpstream
from mcpgov.upstream.stdio_process import StdioLimits, StdioProcess
CODE = "import subprocess as s; print(s.Popen(['sleep', '3600'], stdin=s.DEVNULL, start_new_session=True).pid)"
async def main():
    process = await StdioProcess.start("test", LocalUpstream((sys.executable, "-c", CODE)), StdioLimits(grace=0.2))
    lines = process.lines()
    away = int(await anext(lines))
    await process.stop()
    assert [line async for line in lines] == []
    os.kill(away, signal.SIGKILL)
asyncio.run(main())
"""


async def test_what_got_away_and_holds_our_pipes_does_not_keep_us_waiting() -> None:
    run = await asyncio.create_subprocess_exec(sys.executable, "-c", GOT_AWAY, stdout=asyncio.subprocess.DEVNULL)
    assert await asyncio.wait_for(run.wait(), 20) == 0


async def test_a_word_to_a_process_that_does_not_listen_is_lost_and_not_kept() -> None:
    process = await start("import time; time.sleep(3600)")
    for _ in range(100):
        process.send_now(b"x" * 10_000)
    await process.stop()


async def test_stderr_is_logged_escaped_short_without_secrets_and_to_its_last_word() -> None:
    with capture_logs() as logs:
        process = await start(
            "import os, sys\n"
            "sys.stderr.write('key=' + os.environ['KEY'] + '\\x1b[31m\\n' + 'x' * 5000 + '\\n\\nlast words')",
            ("KEY", Secret("s3cret")),
            ("SHORT", Secret("a")),
        )
        assert [line async for line in process.lines()] == []
        await process.stop()
    said = [log["text"] for log in logs if log["event"] == "local-server-said"]
    assert said == ["key=***\\x1b[31m", "x" * LOGGED_CHARACTERS, "last words"]


async def test_a_server_that_talks_without_end_is_not_logged_without_end() -> None:
    with capture_logs() as logs:
        process = await start("import sys\nsys.stderr.write('word\\n' * 5000)")
        assert [line async for line in process.lines()] == []
        await process.stop()
    events = [log["event"] for log in logs]
    assert events.count("local-server-said") == LOGGED_LINES
    assert events.count("local-server-says-too-much") == 1


async def test_a_server_that_talks_slowly_is_logged_whole() -> None:
    upstream = LocalUpstream((sys.executable, "-I", "-S", "-c", "import sys\nsys.stderr.write('word\\n' * 500)"))
    with capture_logs() as logs:
        process = await StdioProcess.start("test", upstream, StdioLimits(logged_seconds=0.0))
        assert [line async for line in process.lines()] == []
        await process.stop()
    assert [log["event"] for log in logs].count("local-server-said") == 500


@pytest.mark.parametrize(
    "upstream", [LocalUpstream(("no-such-program", "s3cret")), LocalUpstream(("sh",), (), "/nope")]
)
async def test_a_server_that_cannot_be_started_is_logged_with_its_program_and_the_reason(
    upstream: LocalUpstream,
) -> None:
    with capture_logs() as logs, pytest.raises(Refusal) as refusal:
        await StdioProcess.start("test", upstream, QUICK)
    assert refusal.value.reason is Reason.UPSTREAM_UNREACHABLE
    expected = {"connection": "test", "program": upstream.command[0], "error": "No such file or directory"}
    assert logs == [{"event": "local-server-not-started", "log_level": "warning", **expected}]


def test_only_a_short_list_is_inherited_and_the_entry_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ours")
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("LC_ALL", raising=False)
    environment = environment_of(LocalUpstream(("x",), (("TZ", Secret("Europe/Berlin")), ("TOKEN", Secret("t")))))
    assert environment["TZ"] == "Europe/Berlin"
    assert environment["TOKEN"] == "t"
    assert environment["PATH"] == os.environ["PATH"]
    assert not {"AWS_SECRET_ACCESS_KEY", "LC_ALL"} & set(environment)


def test_one_message_is_one_line() -> None:
    assert one_line(b'{"a":\r\n 1}\n') == b'{"a":   1} \n'


def test_a_line_that_is_no_text_can_be_logged() -> None:
    assert printable(b"\xff\x00\r", []) == "\\ufffd\\x00"
