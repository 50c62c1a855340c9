"""ip-filter: lets only the listed addresses in (allow), or keeps them out (forbid).

As in Azure API Management, with networks (CIDR) besides single addresses and ranges. Denies with 403 source-ip-denied.
What is denied wins: an address that cannot be read is denied, a forbidden network catches an address in every form that
leads into it, and an allowed one admits only the address itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from mcpgov.decision import Reason
from mcpgov.policy.addresses import AddressRange, IPAddress, forms, parse_address, parse_range
from mcpgov.policy.element import Denial, PlainElement

if TYPE_CHECKING:
    from mcpgov.policy.context import Context
    from mcpgov.policy.element import Draft
    from mcpgov.policy.place import Place


@dataclass(frozen=True, slots=True)
class IpFilter(PlainElement):
    """Compares the caller's address, after the trusted-proxy walk, with a list."""

    name: ClassVar[str] = "ip-filter"
    allow: bool
    ranges: tuple[AddressRange, ...]

    @classmethod
    def load(cls, place: Place) -> Self:
        """`action`, and at least one of `addresses` and `address-range`."""
        place.only("action", "addresses", "address-range")
        action = place.choice("action", ("allow", "forbid"))
        ranges: list[AddressRange] = []
        for item, text in place.texts("addresses"):
            try:
                ranges.append(parse_range(text))
            except ValueError as error:
                item.note(f"{text} {error}")
        if place.at("address-range").value is not None:
            ranges += _from_to(place.at("address-range"))
        elif isinstance(place.value, dict) and not place.at("addresses").value:
            place.note("no address is listed", "add addresses: [10.0.0.0/24]")
        return cls(action == "allow", tuple(ranges))

    def decide(self, context: Context, _draft: Draft, /) -> Denial | None:
        """Deny an address that is not allowed, is forbidden, or cannot be read."""
        try:
            address = parse_address(context.request.head.source_address)
        except ValueError:
            return _denial("the caller's address cannot be read")
        if self.allow:
            return None if self._lists(address) else _denial("the caller's address is not allowed")
        return _denial("the caller's address is forbidden") if any(map(self._lists, forms(address))) else None

    def _lists(self, address: IPAddress) -> bool:
        return any(address in addresses for addresses in self.ranges)


def _from_to(place: Place) -> list[AddressRange]:
    place.only("from", "to")
    first, last = _end(place, "from"), _end(place, "to")
    if first is None or last is None:
        return []
    if first.version != last.version or int(first) > int(last):
        place.note("the range ends before it begins", "write the lower address, then the higher of the same version")
    return [AddressRange(first, last)]


def _end(place: Place, key: str) -> IPAddress | None:
    text = place.text(key)
    try:
        return parse_address(text) if text else None
    except ValueError:
        place.at(key).note(f"{text} is not an address")
        return None


def _denial(detail: str) -> Denial:
    return Denial(Reason.SOURCE_IP_DENIED, "Calls from your network address are not allowed.", detail=detail)
