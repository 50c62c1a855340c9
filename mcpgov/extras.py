"""What a plain installation does without, and how each part is added: the extras of pyproject.toml.

Knows which module each brings and what it is for. Looks for a module without loading it; loads nothing itself.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from mcpgov.frozen import frozen


@frozen
class Extra:
    """An extra by its name, the module that it brings, the package of that, and what in a configuration needs it."""

    name: str
    module: str
    package: str
    needed: str

    @property
    def message(self) -> str:
        """What is wrong where it is not installed."""
        return f"{self.needed} needs {self.package}, which is not installed"

    @property
    def mend(self) -> str:
        """How it is installed."""
        return f"pip install 'mcpgov[{self.name}]'"

    @property
    def installed(self) -> bool:
        """Whether its module is there to be loaded."""
        try:
            return find_spec(self.module) is not None
        except ModuleNotFoundError:  # not even the package that it would be in
            return False


AZURE: Final = Extra("azure", "azure.identity", "azure-identity", "azure:")
OTEL: Final = Extra(
    *("otel", "opentelemetry.exporter.otlp.proto.http", "opentelemetry-exporter-otlp-proto-http", "OpenTelemetry")
)
PARQUET: Final = Extra("parquet", "pyarrow", "pyarrow", "Parquet")
POSTGRES: Final = Extra("postgres", "psycopg", "psycopg", "PostgreSQL")
REDIS: Final = Extra("redis", "redis", "redis", "Redis")
EXTRAS: Final = (AZURE, OTEL, PARQUET, POSTGRES, REDIS)


def bringing(module: str | None) -> Extra | None:
    """The extra that brings a module: its own, one in it, or a package around it; None for what is no part of any."""
    missed = f"{module}." if module else "?"
    return next((one for one in EXTRAS if missed.startswith(own := f"{one.module}.") or own.startswith(missed)), None)
