"""Where a webhook may go. What a tenant writes into a form must never make the store speak to its own network.

The name is resolved here and the connection made to the very address that was judged, so a name that resolves otherwise a moment later
(DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from django.utils.translation import gettext as _

from store.webhooks.models import MAX_URL

PORTS = {"https": 443, "http": 80}
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# https://www.iana.org/assignments/iana-ipv4-special-registry and …-ipv6-special-registry: all that is not the public internet, whatever
# the ipaddress module of this Python makes of it; and the address at which Azure's machines ask for their own secrets.
REFUSED = [
    ipaddress.ip_network(each)
    for each in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
        "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",
        "::/128", "::1/128", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "64:ff9b:1::/48", "fc00::/7",
        "fe80::/10", "fec0::/10", "ff00::/8",
    )
]  # fmt: skip
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
COMPATIBLE = ipaddress.IPv6Network("::/96")  # IPv4 in IPv6, as it was once written


class BadAddress(Exception):
    """This address is not one that events are sent to. The message is a sentence for who wrote it."""


class Target(NamedTuple):
    """An address taken apart."""

    is_tls: bool
    host: str  # as it stands in a URL, without brackets
    port: int
    path: str  # with the query


class Place(NamedTuple):
    """Where a host is: what ``socket.socket`` and ``connect`` take."""

    family: int
    address: tuple[Any, ...]


def parse(url: str, *, allow_private: bool) -> Target:
    """Takes ``url`` apart. Names are not resolved. Raises BadAddress."""
    if len(url) > MAX_URL or any(character.isspace() or not character.isprintable() for character in url):
        raise BadAddress(_("An address has at most %d characters, and no spaces.") % MAX_URL)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadAddress(_("This is not an address such as https://example.com/hooks.")) from error
    if parts.scheme not in PORTS or not host or port == 0:
        raise BadAddress(_("This is not an address such as https://example.com/hooks."))
    if parts.scheme != "https" and not allow_private:
        raise BadAddress(_("Events are sent by https only."))
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise BadAddress(_("An address has no user, no password and no fragment."))
    if not allow_private and _is_refused_literal(host):
        raise BadAddress(_("Events are sent to public addresses only."))
    return Target(parts.scheme == "https", _ascii(host), port or PORTS[parts.scheme], _path(parts))


def resolve(target: Target, *, allow_private: bool) -> list[Place]:
    """Where the host is, in the order to be tried. Raises BadAddress where nothing is left that may be spoken to, and OSError."""
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    places = [Place(family, address) for family, _kind, _protocol, _name, address in found]
    allowed = [place for place in places if allow_private or is_public(ipaddress.ip_address(place.address[0]))]
    if not allowed:
        raise BadAddress(_("Events are sent to public addresses only."))
    return allowed


def is_public(address: Address) -> bool:
    """Whether an address is on the public internet. One that carries an IPv4 address is judged by that."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = _carried(address)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not any(address in network for network in REFUSED)


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour
    if address in NAT64 or (address in COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def _is_refused_literal(host: str) -> bool:
    try:
        return not is_public(ipaddress.ip_address(host))
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal"))


def _ascii(host: str) -> str:
    try:
        return host if ":" in host else host.encode("idna").decode()
    except UnicodeError as error:
        raise BadAddress(_("This is not an address such as https://example.com/hooks.")) from error


def _path(parts: SplitResult) -> str:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        raise BadAddress(_("Write what is not ASCII in the path of an address as %XX."))
    return path
