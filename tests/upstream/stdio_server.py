"""A local MCP server of few means, run as a script: what it does is what the called tool is named.

Every line it gets goes also to the witness that listens on LEDGER_PORT, and the end of that connection is its end.
"""

import json
import os
import signal
import socket
import sys
import time
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


def call(message: Message) -> None:
    params = message["params"]
    tool, arguments = params["name"], params.get("arguments", {})
    if tool == "progress":
        progress(message, **arguments)
    elif tool == "ask":
        say({"id": "from-server", "method": "roots/list"})
        answer = json.loads(sys.stdin.readline())
        return result(message, got=answer)
    elif tool == "noise":
        raw("this is no JSON")
        raw('{"jsonrpc": "2.0", "id": 99, "result": "nobody asked"}')
        note("notifications/message", data="unattributed")
        sys.stderr.write(f"key={os.environ.get('KEY')}\x1b[31m\n" + "x" * 5000 + "\n" * 3 + "last words")
        sys.stderr.flush()
    elif tool == "exact":
        return raw('{"id":%s, "x-top":[1.50,"\\u2028\u2028"],\r "jsonrpc":"2.0","result":{}}' % json.dumps(message["id"]))
    elif tool == "endless":
        return raw('{"jsonrpc":"2.0","id":%s,"result":{"number":1e999}}' % json.dumps(message["id"]))
    elif tool == "big":
        return raw("x" * arguments["bytes"])
    elif tool == "die":
        sys.exit(3)
    elif tool == "silent":
        return None
    elif tool == "environment":
        return result(message, environment=dict(os.environ), cwd=os.getcwd())
    return result(message, tool=tool, meta=params.get("_meta"))


def on(message: Message) -> None:
    method = message.get("method")
    if method == "tools/call":
        return call(message)
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
        return note("notifications/tools/list_changed")
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
