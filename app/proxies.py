"""Where a request comes from, when proxies stand before the deck.

What a proxy that is trusted (`TAPEDECK_TRUSTED_PROXIES`) says in `X-Forwarded-For` is believed, entry by entry from the
right, as long as the entry before came from such a proxy; what anybody else says there is not.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from litestar.connection import ASGIConnection

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


class Proxies:
    """The networks whose word is taken for where a request comes from."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = trusted

    def address_of(self, connection: ASGIConnection[Any, Any, Any, Any]) -> Address | None:
        """The address of the client; None when it is not known."""
        client = connection.scope.get("client")
        address = _address(client[0]) if client else None
        forwarded = ",".join(connection.headers.getall("X-Forwarded-For", [])).split(",")
        while address is not None and self._trusts(address) and forwarded:
            before = _address(forwarded.pop())
            if before is None:
                break
            address = before
        return address

    def _trusts(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self._trusted)


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
