"""A webhook leads to the public internet and nowhere else, however its address is written or resolved."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest

from store.webhooks.addresses import BadAddress, is_public, parse, resolve
from store.webhooks.posting import post
from tests.store.webhooks.receiver import Receiver


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200",
        "168.63.129.16", "192.0.0.192", "198.18.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254",
        "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::1",
        "2002:a00:1::", "2001:db8::1", "2001::1", "fec0::1",
    ],
)  # fmt: skip
def test_what_is_not_the_public_internet_is_refused(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_what_is_public_is_allowed(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "ftp://example.com/", "file:/etc/passwd", "gopher://example.com", "https://", "https:///x", "http://example.com/",
        "https://user@example.com/", "https://user:pass@example.com/", "https://example.com/#x", "https://example.com:0/",
        "https://example.com:99999/", "https://example.com:x/", "https://exa mple.com/", "https://example.com/\r\nHost: x",
        "https://example.com/\0", "https://[::1", "https://[::1]/", "https://127.0.0.1/", "https://localhost/", "https://x.localhost/",
        "https://metadata.google.internal/", "https://printer.local/", "https://[::ffff:169.254.169.254]/", "https://[fe80::1%25eth0]/",
        "https://example.com/é", f"https://example.com/{'x' * 2000}", f"https://{'x' * 64}.com/", "https://.example..com/",
    ],
)  # fmt: skip
def test_an_address_that_makes_no_sense_or_is_not_public_is_refused(url: str) -> None:
    with pytest.raises(BadAddress) as refused:
        parse(url, allow_private=False)
    assert str(refused.value).endswith(".")


def test_an_address_is_taken_apart() -> None:
    assert parse("https://Bücher.example/a/b?c=d", allow_private=False) == (
        True,
        "xn--bcher-kva.example",
        443,
        "/a/b?c=d",
    )
    assert parse("http://127.0.0.1:8080", allow_private=True) == (False, "127.0.0.1", 8080, "/")


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1"])
def test_a_loopback_address_in_disguise_is_found_out_when_it_is_resolved(host: str) -> None:
    target = parse(f"https://{host}/", allow_private=False)
    with pytest.raises(BadAddress):
        resolve(target, allow_private=False)


def test_a_name_that_leads_inside_is_refused_and_nothing_is_sent(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = receiver.server.server_address[1]

    def lead_inside(*_args: Any, **_options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", lead_inside)
    answer = post(f"https://innocent.example:{port}/", body=b"{}", headers={}, allow_private=False)
    assert (answer.status, answer.error) == (None, "Events are sent to public addresses only.")
    assert receiver.received == []


def test_the_connection_goes_to_the_address_that_was_judged(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is asked for once: what it says a moment later (DNS rebinding) is heard by nobody."""
    port = receiver.server.server_address[1]
    asked: list[str] = []

    def answer_once(host: str, *_args: Any, **_options: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1" if len(asked) == 1 else "127.0.0.2", port))]

    monkeypatch.setattr(socket, "getaddrinfo", answer_once)
    answer = post(f"http://rebinding.example:{port}/x", body=b"{}", headers={}, allow_private=True)
    assert answer.status == 204
    assert asked == ["rebinding.example"]
    assert receiver.received[0].headers["host"] == f"rebinding.example:{port}"


def test_a_private_address_among_public_ones_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(*_args: Any, **_options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 443)) for each in ("10.0.0.1", "93.184.215.14")]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    places = resolve(parse("https://mixed.example/", allow_private=False), allow_private=False)
    assert [place.address[0] for place in places] == ["93.184.215.14"]


def test_where_there_is_no_tls_there_is_no_answer(receiver: Receiver) -> None:
    answer = post(receiver.url.replace("http:", "https:"), body=b"{}", headers={}, allow_private=True)
    assert (answer.status, answer.error) == (None, "There is no TLS at this address.")


def test_a_name_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: Any, **_options: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    answer = post("https://nowhere.example/", body=b"{}", headers={}, allow_private=False)
    assert answer.error == "The name of the host is not known."
