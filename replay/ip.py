"""IP addresses in what a client says about itself: kept, truncated or left out."""

import ipaddress

import msgspec
from msgspec import Raw

from replay import splice, surrogates
from replay.privacy import IpAddresses

MEMBERS = frozenset({"ip", "ip_address", "ipAddress", "remote_ip", "remoteIp", "client_ip", "clientIp"})
_KEPT_BITS = {4: 24, 6: 48}

_values = msgspec.json.Decoder(str)


def masked_ips(client_info: Raw, policy: IpAddresses) -> tuple[Raw, int]:
    """`client_info` with the addresses that its members hold as the policy says, and how many that changed.

    Every other byte stays. An address that cannot be read is left out when it should be truncated.
    """
    if policy is IpAddresses.FULL:
        return client_info, 0
    text = bytes(client_info)
    changes = {}
    for name, place in splice.members(text).items():
        if (
            name in MEMBERS
            and (kept := _kept(text[place.start : place.end], policy)) != text[place.start : place.end]
        ):
            changes[place] = kept
    return Raw(splice.replace(text, changes)), len(changes)


def truncated(address: str) -> str | None:
    """The network of an address: IPv4 to its /24, IPv6 to its /48. None when it is no address."""
    try:
        ip = ipaddress.ip_address(address.strip())
    except ValueError:
        return None
    if ip.version == 6 and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return str(ipaddress.ip_network((ip, _KEPT_BITS[ip.version]), strict=False).network_address)


def allowed(address: str, policy: IpAddresses) -> str | None:
    """What may be kept of an address; None: nothing."""
    if policy is IpAddresses.FULL:
        return address
    return truncated(address) if policy is IpAddresses.TRUNCATED else None


def _kept(value: bytes, policy: IpAddresses) -> bytes:
    if policy is IpAddresses.OFF:
        return b"null"
    try:
        network = truncated(surrogates.decode(_values, value))
    except msgspec.DecodeError:
        return b"null"
    return b"null" if network is None else msgspec.json.encode(network)
