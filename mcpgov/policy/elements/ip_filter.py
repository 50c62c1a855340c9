"""ip-filter: lets only the listed addresses in (allow), or keeps them out (forbid).

As in Azure API Management, with networks (CIDR) besides single addresses and ranges. Denies with 403 source-ip-denied.
What is denied wins: an address that cannot be read is denied, a forbidden network catches an address in every form that
leads into it, and an allowed one admits only the address itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.decision import Reason
from mcpgov.frozen import frozen
from mcpgov.policy.addresses import AddressRange, IPAddress, forms, parse_address, parse_range
from mcpgov.policy.attributes import Choice, Items, Text, Texts
from mcpgov.policy.draft import Denial
from mcpgov.policy.element import PlainElement

if TYPE_CHECKING:
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.place import Attribute, Place

ACTION: Final = Choice("action", "whether only the listed addresses pass, or all others", ("allow", "forbid"))
ADDRESSES: Final = Texts("addresses", "single addresses, and networks such as 10.0.0.0/24", "address")
FROM: Final = Text("from", "the first address")
TO: Final = Text("to", "the last address")
RANGES: Final = Items("address-range", "ranges of addresses", "address-range", (FROM, TO))


@frozen
class IpFilter(PlainElement):
    """Compares the caller's address, after the trusted-proxy walk, with a list."""

    name: ClassVar[str] = "ip-filter"
    attributes: ClassVar[tuple[Attribute[object], ...]] = (ACTION, ADDRESSES, RANGES)
    allow: bool
    ranges: tuple[AddressRange, ...]

    @classmethod
    def load(cls, place: Place) -> Self:
        """`action`, and at least one of `addresses` and `address-range`."""
        action = ACTION.read(place)
        ranges: list[AddressRange] = []
        for item, text in ADDRESSES.read(place):
            try:
                ranges.append(parse_range(text.strip()))
            except ValueError as error:
                item.note(f"{text} {error}")
            if "/" in text and place.dialect.xml:
                item.remark("API Management takes no network here", "it would want <address-range from= to=/>")
        for item in RANGES.read(place):
            ranges += _from_to(item)
        if isinstance(place.value, dict) and not (place.at("addresses").value or place.at("address-range").value):
            place.note("no address is listed", "add addresses: [10.0.0.0/24]")
        return cls(action == "allow", tuple(ranges))

    def decide(self, draft: Draft, /) -> Denial | None:
        """Deny an address that is not allowed, is forbidden, or cannot be read."""
        try:
            address = parse_address(draft.context.request.head.source_address)
        except ValueError:
            return _denial("the caller's address cannot be read", "FailedToParseCallerIP")
        if self.allow:
            allowed = self._lists(address)
            return None if allowed else _denial("the caller's address is not allowed", "CallerIpNotAllowed")
        forbidden = any(map(self._lists, forms(address)))
        return _denial("the caller's address is forbidden", "CallerIpBlocked") if forbidden else None

    def _lists(self, address: IPAddress) -> bool:
        return any(address in addresses for addresses in self.ranges)


def _from_to(place: Place) -> list[AddressRange]:
    first, last = _end(place, FROM), _end(place, TO)
    if first is None or last is None:
        return []
    if first.version != last.version or int(first) > int(last):
        place.note("the range ends before it begins", "write the lower address, then the higher of the same version")
    return [AddressRange(first, last)]


def _end(place: Place, attribute: Text) -> IPAddress | None:
    text = attribute.read(place)
    try:
        return parse_address(text) if text else None
    except ValueError:
        place.at(attribute.name).note(f"{text} is not an address")
        return None


def _denial(detail: str, word: str) -> Denial:
    message = "Calls from your network address are not allowed."
    return Denial(Reason.SOURCE_IP_DENIED, message, detail=detail, error_reason=word)
