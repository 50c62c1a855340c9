"""How much mcpgov says of itself, as the settings have it."""

import pytest

from mcpgov.errors import InvalidConfiguration
from mcpgov.settings import parse_settings


def test_a_level_is_one_of_four_and_info_unless_said() -> None:
    assert parse_settings("{}", "mcpgov.yaml").log.level == "info"
    for level in ("debug", "info", "warning", "error"):
        assert parse_settings(f"log: {{ level: {level} }}\n", "mcpgov.yaml").log.level == level


@pytest.mark.parametrize("level", ["loud", "DEBUG", "10", "''"])
def test_another_level_is_refused_with_its_place(level: str) -> None:
    with pytest.raises(InvalidConfiguration, match=r"mcpgov\.yaml:1:15"):
        parse_settings(f"log: {{ level: {level} }}\n", "mcpgov.yaml")
