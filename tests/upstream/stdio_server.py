"""A local MCP server of few means, run as a script: what it does is what the called tool is named.

Every line it gets goes also to the witness that listens on LEDGER_PORT, and the end of that connection is its end.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Message = dict[str, Any]
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
FLAGS = sys.argv[1:]


def say(message: Message) -> None:
    raw(json.dumps({"jsonrpc": "2.0", **message}))


def raw(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def note(method: str, **params: Any) -> None:
    say({"method": method, "params": params})


def result(message: Message, **fields: Any) -> None:
    say({"id": message["id"], "result": fields})


def error(message: Message, code: int) -> None:
    say({"id": message["id"], "error": {"code": code, "message": "no"}})


def progress(message: Message, times: int = 2, text: str = "") -> None:
    token = message["params"].get("_meta", {}).get("progressToken")
    for step in range(times):
        note("notifications/progress", progressToken=token, progress=step, message=text)


def speak(times: int = 1, text: str = "") -> None:
    for _ in range(times):
        note("notifications/tools/list_changed", text=text)


def ask(message: Message) -> None:
    say({"id": "from-server", "method": "roots/list"})
    result(message, got=json.loads(sys.stdin.readline()))


def noise(message: Message) -> None:
    raw("this is no JSON")
    raw('{"jsonrpc": "2.0", "id": 99, "result": "nobody asked"}')
    note("notifications/message", data="unattributed")
    sys.stderr.write(f"key={os.environ.get('KEY')}\x1b[31m\n" + "x" * 5000 + "\n" * 3 + "last words")
    sys.stderr.flush()
    result(message)


def exact(message: Message) -> None:
    text = '{"id":ID, "x-top":[1.50,"\\u2028\u2028"],\r "jsonrpc":"2.0","result":{}}'
    raw(text.replace("ID", json.dumps(message["id"])))


def deep(message: Message) -> None:
    depth = message["params"]["arguments"]["depth"]
    inside = "[" * depth + "]" * depth
    raw(f'{{"jsonrpc":"2.0","id":{json.dumps(message["id"])},"result":{{"deep":{inside}}}}}')


def chatter(message: Message) -> None:
    sys.stderr.write("word\n" * 1000)
    sys.stderr.flush()
    result(message)


TOOLS: dict[str, Callable[[Message], None]] = {
    "ask": ask,
    "noise": noise,
    "exact": exact,
    "chatter": chatter,
    "deep": deep,
    "progress": lambda message: (progress(message, **message["params"]["arguments"]), echo(message))[1],
    "endless": lambda message: raw('{"jsonrpc":"2.0","id":ID,"result":[1e999]}'.replace("ID", str(message["id"]))),
    "big": lambda message: raw("x" * message["params"]["arguments"]["bytes"]),
    "die": lambda message: sys.exit(3),
    "talk": lambda message: (speak(**message["params"]["arguments"]), echo(message))[1],
    "silent": lambda message: None,
    "environment": lambda message: result(message, environment=dict(os.environ), cwd=str(Path.cwd())),
    "offspring": lambda message: result(message, pid=subprocess.Popen(["sleep", "3600"]).pid),
}


def echo(message: Message) -> None:
    result(message, tool=message["params"]["name"], meta=message["params"].get("_meta"))


def on(message: Message) -> None:
    method = message.get("method")
    if method == "tools/call":
        return TOOLS.get(message["params"]["name"], echo)(message)
    if method == "initialize":
        return error(message, -32602) if "--refuses" in FLAGS else result(message, protocolVersion="2025-11-25")
    if method == "server/discover":
        if "--dies" in FLAGS:
            sys.exit(1)
        return error(message, -32602) if "--handshake" in FLAGS else result(message, resultType="complete")
    if method == "subscriptions/listen":
        note("notifications/subscriptions/acknowledged", _meta={SUBSCRIPTION: message["id"]})
        return note("notifications/cancelled", requestId=message["id"])
    if method == "notifications/speak":
        return speak(**message["params"])
    return error(message, -32601) if "id" in message and method else None


def main() -> None:
    if "--stubborn" in FLAGS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with socket.create_connection(("127.0.0.1", int(os.environ["LEDGER_PORT"]))) as ledger:
        ledger.sendall(b"%d\n" % os.getpid())
        if "--deaf" in FLAGS:
            time.sleep(3600)
        for line in sys.stdin:
            ledger.sendall(line.encode())
            on(json.loads(line))
        if "--stubborn" in FLAGS:
            time.sleep(3600)


if __name__ == "__main__":
    main()
