# google-re2 comes without types: mcpgov/policy/patterns.py, the one file that imports it, says what it uses.

from typing import Any

def __getattr__(name: str) -> Any: ...
