"""The usage page."""

from mcpgov.audit.review import Usage
from mcpgov.console.usage import usage_page
from tests.audit.calls import NOW


def test_the_numbers_lead_to_the_calls() -> None:
    page = str(usage_page([Usage("key:1", "", "city", "search", 1200, 3, 2, NOW)], "7d"))
    assert "1,200" in page
    assert "decision=deny" in page
    assert ">key:1<" in page
