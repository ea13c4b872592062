"""Whether an IP address that a name led to is one that we may connect to.

An endpoint's owner chooses the name, so without this anybody could make the host call itself, its
neighbours or its cloud's metadata service (server-side request forgery). Judged is always the
address that the resolver gave, never how a URL spells it: the C library takes `2130706433`,
`0x7f.1` and full-width digits for 127.0.0.1, and only an address says what it means.

`ipaddress.is_global` alone does not do: it is true for `64:ff9b::7f00:1`, `::127.0.0.1`, `fec0::1`,
multicast and 168.63.129.16, and before Python 3.12.4 for 6to4. So the networks stand here, each
with its source:

- IANA's registries of special-purpose addresses (RFC 6890 and its updates), also those that it
  calls globally reachable: they are services of the network (AS112, AMT, relays), and nobody's
  endpoint.
- Multicast and what is reserved (RFC 1112, RFC 5771, RFC 4291).
- Metadata of clouds: 169.254.169.254 is link-local, 100.100.100.200 is shared address space,
  192.0.0.192 is among the protocol assignments, fd00:ec2::254 and fd20:ce::254 are unique local;
  168.63.129.16 is named by itself.
- Of IPv6 only 2000::/3 is given out (RFC 4291 section 2.4): all else is refused by that one rule,
  but for the two kinds that stand for an IPv4 address and are used today, which are judged by it:
  mapped (`::ffff:a.b.c.d`, RFC 4291 section 2.5.5.2) and NAT64 with the well-known prefix
  (`64:ff9b::a.b.c.d`, RFC 6052).
- Kinds that stand for an IPv4 address and are used no more are refused whatever they hold:
  compatible (`::a.b.c.d`, RFC 4291), translated (`::ffff:0:a.b.c.d`, RFC 2765), 6to4 (RFC 3056,
  7526), Teredo (RFC 4380). ISATAP (RFC 5214) hides in any network's last 64 bits, and is refused
  unless the IPv4 address in it is public.

Which addresses are this host's own no list can know: the port that connects looks
(ports/http/connect.py).
"""
from __future__ import annotations

import ipaddress

NETWORKS_4 = {
    "0.0.0.0/8": "this host on this network (RFC 791)",
    "10.0.0.0/8": "private (RFC 1918)",
    "100.64.0.0/10": "shared behind a carrier's NAT (RFC 6598)",
    "127.0.0.0/8": "loopback (RFC 1122)",
    "168.63.129.16/32": "the host of a virtual machine in Azure",
    "169.254.0.0/16": "link-local, and metadata of clouds (RFC 3927)",
    "172.16.0.0/12": "private (RFC 1918)",
    "192.0.0.0/24": "protocol assignments (RFC 6890)",
    "192.0.2.0/24": "documentation (RFC 5737)",
    "192.31.196.0/24": "AS112 (RFC 7535)",
    "192.52.193.0/24": "multicast tunnels, AMT (RFC 7450)",
    "192.88.99.0/24": "relays of 6to4 (RFC 7526)",
    "192.168.0.0/16": "private (RFC 1918)",
    "192.175.48.0/24": "AS112 (RFC 7534)",
    "198.18.0.0/15": "benchmarks (RFC 2544)",
    "198.51.100.0/24": "documentation (RFC 5737)",
    "203.0.113.0/24": "documentation (RFC 5737)",
    "224.0.0.0/4": "multicast (RFC 5771)",
    "240.0.0.0/4": "reserved, and broadcast (RFC 1112, RFC 8190)",
}
GIVEN_OUT_6 = "2000::/3"
NETWORKS_6 = {                  # within what is given out
    "2001::/23": "protocol assignments: Teredo, benchmarks, ORCHID and others (RFC 2928, 4380, "
                 "5180, 7343, 9374)",
    "2001:db8::/32": "documentation (RFC 3849)",
    "2002::/16": "6to4 (RFC 3056)",
    "2620:4f:8000::/48": "AS112 (RFC 7534)",
    "3ffe::/16": "the 6bone, given back (RFC 3701)",
    "3fff::/20": "documentation (RFC 9637)",
}
# Outside of it nothing is let through; what a refusal says is more exact for these.
NAMED_6 = {
    "::/128": "no address (RFC 4291)",
    "::1/128": "loopback (RFC 4291)",
    "::ffff:0:0:0/96": "translated (RFC 2765)",
    "::/96": "compatible (RFC 4291)",
    "64:ff9b:1::/48": "NAT64 of a network of its own (RFC 8215)",
    "100::/64": "discarded (RFC 6666)",
    "5f00::/16": "segment routing (RFC 9602)",
    "fc00::/7": "unique local, and metadata of clouds (RFC 4193)",
    "fe80::/10": "link-local (RFC 4291)",
    "fec0::/10": "site-local (RFC 3879)",
    "ff00::/8": "multicast (RFC 4291)",
}
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
ISATAP = (0x00005EFE, 0x02005EFE)       # the upper half of an interface's id, RFC 5214 section 6.1

_FOUR = [(ipaddress.IPv4Network(network), reason) for network, reason in NETWORKS_4.items()]
_SIX = [(ipaddress.IPv6Network(network), reason) for network, reason in NETWORKS_6.items()]
_NAMED = [(ipaddress.IPv6Network(network), reason) for network, reason in NAMED_6.items()]
_GIVEN_OUT = ipaddress.IPv6Network(GIVEN_OUT_6)


def refusal(address: str) -> str:
    """Why we may not connect to this address, as `getaddrinfo` gives it; "" if we may."""
    parsed = _parsed(address)
    if parsed is None:
        return "no address of one host"
    return _four(parsed) if isinstance(parsed, ipaddress.IPv4Address) else _six(parsed)


def is_in(address: str, networks) -> bool:
    """Whether it is in one of these networks (of `ipaddress`), which the operator lets through
    whatever they are."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed.version == network.version and parsed in network
                                      for network in networks)


def _parsed(address: str):
    """The address, a mapped one as its IPv4 address: that is the same host and the same
    connection."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if getattr(parsed, "scope_id", None):           # bound to one link (RFC 4007)
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _four(address: ipaddress.IPv4Address) -> str:
    return next((reason for network, reason in _FOUR if address in network), "")


def _six(address: ipaddress.IPv6Address) -> str:
    number = int(address)
    last = ipaddress.IPv4Address(number & 0xFFFFFFFF)
    if address in NAT64:
        return _behind("NAT64", last)
    if address not in _GIVEN_OUT:
        return next((reason for network, reason in _NAMED if address in network),
                    "not given out (RFC 4291)")
    reason = next((reason for network, reason in _SIX if address in network), "")
    if not reason and (number >> 32) & 0xFFFFFFFF in ISATAP:
        return _behind("ISATAP", last)
    return reason


def _behind(kind: str, address: ipaddress.IPv4Address) -> str:
    reason = _four(address)
    return f"{kind}, and behind it: {reason}" if reason else ""
