"""A call says exactly what is asked of Azure, and no name in it leads to another resource."""

import pytest

from mcpgov.publish.arm import Call, resource_path
from mcpgov.publish.offer import NotOffered


def test_a_call_is_printed_for_machines_and_for_a_shell() -> None:
    path = resource_path("s", "{resource-group}", "Microsoft.X", "services", "a_b.c-(d)")
    call = Call("PUT", path, "2024-03-01", {"properties": {}})
    url = "https://management.azure.com/subscriptions/s/resourceGroups/{resource-group}/providers/Microsoft.X"
    assert call.url == f"{url}/services/a_b.c-(d)?api-version=2024-03-01"
    assert call.described() == {"method": "PUT", "url": call.url, "body": {"properties": {}}}
    assert call.typed("body.json") == f"az rest --method put --url '{call.url}' --body @body.json"


@pytest.mark.parametrize("part", ["", "a/b", "..", "a..b", "a?b", "a#b", "a%2fb", "a b", "a'b", "{a", "é"])
def test_a_part_of_a_path_is_a_name_or_refused(part: str) -> None:
    for parts in ((part, "g", "x", "n"), ("s", part, "x", "n"), ("s", "g", "x", part)):
        with pytest.raises(NotOffered, match="is not a name"):
            resource_path(*parts)
