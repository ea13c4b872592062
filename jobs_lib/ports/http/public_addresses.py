"""Whether an IP address that a name led to is one that we may connect to.

An endpoint's owner chooses the name, so without this anybody could make the host call itself, its
neighbours or its cloud's metadata service (server-side request forgery). Judged is the address that
the resolver gave, never how a URL spells it: the C library takes `0x7f.1` for 127.0.0.1.

`ipaddress.is_global` alone does not do: it is true for `64:ff9b::7f00:1`, `fec0::1`, multicast and
168.63.129.16. So the networks stand here: IANA's registries of special-purpose addresses (RFC 6890
and its updates), multicast, what is reserved, metadata of clouds.
"""
from __future__ import annotations

import ipaddress

NETWORKS_4 = (
    "0.0.0.0/8",  # this host on this network (RFC 791)
    "10.0.0.0/8",  # private (RFC 1918)
    "100.64.0.0/10",  # shared behind a carrier's NAT (RFC 6598), and metadata of Alibaba
    "127.0.0.0/8",  # loopback (RFC 1122)
    "168.63.129.16/32",  # the host of a virtual machine in Azure
    "169.254.0.0/16",  # link-local (RFC 3927), and metadata of most clouds
    "172.16.0.0/12",  # private (RFC 1918)
    "192.0.0.0/24",  # protocol assignments (RFC 6890), and metadata of Oracle
    "192.0.2.0/24",  # documentation (RFC 5737)
    "192.31.196.0/24",  # AS112 (RFC 7535)
    "192.52.193.0/24",  # multicast tunnels, AMT (RFC 7450)
    "192.88.99.0/24",  # relays of 6to4 (RFC 7526)
    "192.168.0.0/16",  # private (RFC 1918)
    "192.175.48.0/24",  # AS112 (RFC 7534)
    "198.18.0.0/15",  # benchmarks (RFC 2544)
    "198.51.100.0/24",  # documentation (RFC 5737)
    "203.0.113.0/24",  # documentation (RFC 5737)
    "224.0.0.0/4",  # multicast (RFC 5771)
    "240.0.0.0/4",  # reserved, and broadcast (RFC 1112, RFC 8190)
)
# Only this is given out (RFC 4291 section 2.4): whatever else there is, such as unique local
# addresses with metadata of clouds, compatible and translated ones, is refused by this one rule.
GIVEN_OUT_6 = ipaddress.IPv6Network("2000::/3")
NETWORKS_6 = (  # within it
    "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID (RFC 2928 and others)
    "2001:db8::/32",  # documentation (RFC 3849)
    "2002::/16",  # 6to4 (RFC 3056)
    "2620:4f:8000::/48",  # AS112 (RFC 7534)
    "3ffe::/16",  # the 6bone, given back (RFC 3701)
    "3fff::/20",  # documentation (RFC 9637)
)
# Stands for an IPv4 address, and is judged by it (RFC 6052); so are mapped ones.
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

_REFUSED = tuple(map(ipaddress.ip_network, (*NETWORKS_4, *NETWORKS_6)))


def is_public(address: str) -> bool:
    """Whether we may connect to this address, as `getaddrinfo` gives it."""
    parsed = _parsed(address)
    if parsed is None:
        return False
    if parsed in NAT64:
        return is_public(str(ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)))
    is_given_out = parsed.version == 4 or parsed in GIVEN_OUT_6
    return is_given_out and not any(parsed in network for network in _REFUSED)


def is_in(address: str, networks) -> bool:
    """Whether it is in one of these networks (of `ipaddress`)."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in networks)


def _parsed(address: str):
    """The address, a mapped one (`::ffff:a.b.c.d`) as its IPv4 address: that is the same host and
    the same connection. None for what is none, or is bound to one link (RFC 4007)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if getattr(parsed, "scope_id", None):
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
