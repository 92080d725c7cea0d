"""Rule: which IP addresses a stranger may have this service connect to.

The special-use addresses stand here themselves (RFC 6890 and the IANA registries it began): what Python takes for
private has changed between its versions.
"""

from __future__ import annotations

import ipaddress
from typing import Final

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: This machine, and networks of somebody's own (RFC 1918, RFC 6598, RFC 4193).
_LOCAL: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
    )
)
#: Nobody's: this network, link-local (where clouds keep credentials), assignments, documentation, tests, multicast,
#: reserved.
_SPECIAL: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "169.254.0.0/16",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "2001::/23",  # Teredo too
        "2001:db8::/32",
        "3fff::/20",
    )
)
#: All global unicast there is (RFC 4291 §2.4, IANA): the rest of IPv6 is special or not assigned.
_GLOBAL_V6: Final = ipaddress.ip_network("2000::/3")
#: IPv6 addresses that mean an IPv4 one, and by how many bits it stands from the right end: mapped, NAT64, 6to4.
_CARRIERS: Final = (
    (ipaddress.IPv6Network("::ffff:0:0/96"), 0),
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),
    (ipaddress.IPv6Network("2002::/16"), 80),
)


def is_public(text: str) -> bool:
    """Whether it is an address of the public internet. What is no address is not."""
    address = _read(text)
    return address is not None and _is_public(address)


def is_public_or_local(text: str) -> bool:
    """As ``is_public``, or one of this machine or of a private network."""
    address = _read(text)
    return address is not None and (_is_public(address) or any(address in network for network in _LOCAL))


def _read(text: str) -> _Address | None:
    """The address; of an IPv6 one that carries an IPv4 one, that."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        for network, shift in _CARRIERS:
            if address in network:
                return ipaddress.IPv4Address(int(address) >> shift & 0xFFFFFFFF)
    return address


def _is_public(address: _Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_V6:
        return False
    return not any(address in network for network in (*_LOCAL, *_SPECIAL))
