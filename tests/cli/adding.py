"""The verbs that write entries, run against a registry of one page."""

import json
from collections.abc import Sequence
from pathlib import Path

import typer
from typer.testing import CliRunner, Result

from mcpgov.catalog.importers import OFFICIAL, Fetch
from mcpgov.cli.catalog import build_catalog
from mcpgov.cli.catalog_add import add_adding
from mcpgov.credential.references import Unfit
from mcpgov.models import Json
from tests.catalog.server_shapes import remote, server

Document = dict[str, Json]


class Registry:
    """One page."""

    def __init__(self, items: Sequence[Json] = (), unfit: Unfit | None = None) -> None:
        self.items, self.unfit = items, unfit
        self.asked: list[tuple[str, bool]] = []

    def __call__(self, config: Path | None, *, private: bool) -> Fetch:
        async def fetch(url: str) -> bytes:
            self.asked.append((url, private))
            if self.unfit:
                raise self.unfit
            return json.dumps({"servers": list(self.items), "metadata": {}}).encode()

        assert config
        return fetch


def item(name: str, **more: Json) -> Document:
    return {"server": {**server(name), "remotes": [remote()], **more}, "_meta": {OFFICIAL: {"status": "active"}}}


def run(config: Path, *arguments: str, registry: Registry | None = None) -> Result:
    app: typer.Typer = build_catalog()
    add_adding(app, registry or Registry())
    return CliRunner().invoke(app, [*arguments, "--config", str(config)])


def written(config: Path, name: str) -> str:
    return (config.parent / "catalog" / name).read_text()


def files(config: Path) -> list[str]:
    return sorted(place.name for place in (config.parent / "catalog").iterdir())
