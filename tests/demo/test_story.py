"""One line for each answer, errors included."""

import pytest
from mcp import Client
from mcp.server import MCPServer

from mcpgov.demo.story import call


def server() -> MCPServer:
    """A server with a tool that works and one that fails."""
    made = MCPServer("story", log_level="ERROR")

    @made.tool()
    def greet(name: str) -> str:
        """Greet somebody."""
        return f"Hello, {name}."

    @made.tool()
    def fail() -> str:
        """Fail."""
        raise ValueError("it broke")

    return made


@pytest.mark.parametrize(
    ("tool", "arguments", "asked", "answer"),
    [("greet", {"name": "Ada"}, "greet(name='Ada')", "Hello, Ada."), ("fail", {}, "fail()", "isError: ")],
)
async def test_a_call_and_its_answer_are_one_line(
    tool: str, arguments: dict[str, object], asked: str, answer: str
) -> None:
    async with Client(server()) as client:
        step = await call(client, "here", tool, arguments)
    assert (step.connection, step.call) == ("here", asked)
    assert step.answer.startswith(answer)
