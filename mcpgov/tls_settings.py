"""`tls:` in mcpgov.yaml: the certificate that a listener presents, and the key to it.

Refuses to know: whether the files are there and fit together (certificates.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import PlainValidator

from mcpgov.credential.references import Unfit
from mcpgov.shapes import TEXT, Shape


def _file(value: object) -> Path:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise Unfit("is not the path of a file", "write one like ./tls/server.crt")
    return Path(value)


File = Annotated[Path, PlainValidator(_file), TEXT]


class Tls(Shape):
    """`certificate` is a file of PEM with the certificate and those between it and its root, `key` one with its key."""

    certificate: File
    key: File

    def rooted(self, folder: Path) -> Tls:
        """The same, with relative paths starting from `folder`."""
        return self.model_copy(update={"certificate": folder / self.certificate, "key": folder / self.key})
