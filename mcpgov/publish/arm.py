"""A call of Azure Resource Manager, as it is printed and as it is made. Pure.

A part of a path is a name or it is refused: nothing that somebody typed may choose another resource, and what is not
known yet stands in braces, to be filled in.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mcpgov.frozen import frozen
from mcpgov.publish.offer import NotOffered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.models import Json

MANAGEMENT: Final = "https://management.azure.com"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.()-]{0,127}|\{[a-z-]+\}")


@frozen
class Call:
    """One call: a method, the path of a resource, the version of the API, and what the resource is to be."""

    method: str
    path: str
    api_version: str
    body: Mapping[str, Json]

    @property
    def url(self) -> str:
        """Where it goes."""
        return f"{MANAGEMENT}{self.target}"

    @property
    def target(self) -> str:
        """The same without the host."""
        return f"{self.path}?api-version={self.api_version}"

    def described(self) -> dict[str, Json]:
        """The call as JSON; one that asks has no body."""
        said: dict[str, Json] = {"method": self.method, "url": self.url}
        return said if self.method == "GET" else {**said, "body": dict(self.body)}

    def typed(self, file: str) -> str:
        """The call as a command line, where the body lies in `file`."""
        return f"az rest --method {self.method.lower()} --url '{self.url}' --body @{file}"


def resource_path(subscription: str, group: str, provider: str, *names: str) -> str:
    """The path of a resource: `provider` is its namespace, `names` its types and names in turn. Raises NotOffered."""
    for part in (subscription, group, *names):
        if not _NAME.fullmatch(part) or ".." in part:
            raise NotOffered(f"{part!r} is not a name of Azure", "write it as the portal shows it")
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{provider}/{'/'.join(names)}"
