"""One POST to an address that a tenant wrote: no redirect is followed, little is read, and it is over after POST_S, whatever it does."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

from django.utils.translation import gettext as _

from store.webhooks.addresses import PORTS, BadAddress, Place, Target, parse, resolve
from store.webhooks.models import KEPT_CHARS

POST_S = 10.0  # from the first connection to the last byte; resolving the name comes on top
READ_BYTES = 4 * KEPT_CHARS  # as many as KEPT_CHARS characters have at most
MAX_RETRY_AFTER_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it. Without ``status`` nothing that is HTTP came back, and ``error`` says why."""

    duration_ms: int
    status: int | None = None
    start: str = ""  # of the body, KEPT_CHARS characters at most
    error: str = ""
    is_late: bool = False
    retry_after_s: int = 0

    @property
    def is_good(self) -> bool:
        return self.status is not None and HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def is_gone(self) -> bool:
        """The receiver wants no more."""
        return self.status == HTTPStatus.GONE


def post(url: str, *, body: bytes, headers: Mapping[str, str], allow_private: bool) -> Answer:
    """Posts ``body``, and raises nothing: whatever the other side does is an answer."""
    began = time.monotonic()
    connection: _Connection | None = None
    try:
        target = parse(url, allow_private=allow_private)
        connection = _Connection(target, resolve(target, allow_private=allow_private))
        with connection:
            connection.request("POST", target.path, body=body, headers=dict(headers))
            response = connection.getresponse()
            connection.check_time()  # headers that were cut off look like headers that ended
            start, error = _start_of(response), _said(response.status)
        return Answer(_ms_since(began), response.status, start, error, retry_after_s=_retry_after(response.headers))
    except BadAddress as refusal:
        return Answer(_ms_since(began), error=str(refusal))
    except (OSError, http.client.HTTPException, ValueError) as error:
        is_late = isinstance(error, TimeoutError) or (connection is not None and connection.is_late)
        return Answer(_ms_since(began), error=_late() if is_late else _why(error), is_late=is_late)


class _Connection(http.client.HTTPConnection):
    """Speaks to one of ``places`` and to nothing else. Used as a context it is cut off POST_S after it began."""

    def __init__(self, target: Target, places: list[Place]) -> None:
        super().__init__(target.host, target.port, timeout=POST_S)
        self.default_port = PORTS["https" if target.is_tls else "http"]
        self.is_late = False
        self._target, self._places = target, places
        self._timer = threading.Timer(POST_S, self._cut_off)

    def __enter__(self) -> _Connection:
        self._timer.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._timer.cancel()
        self.close()

    def connect(self) -> None:
        self.sock = self._first_that_answers()
        if self._target.is_tls:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self._target.host, do_handshake_on_connect=False)
            self.check_time()
            self.sock.do_handshake()
        self.check_time()

    def _first_that_answers(self) -> socket.socket:
        *others, last = self._places
        for place in others:
            try:
                return _connected(place)
            except OSError:
                self.check_time()
        return _connected(last)

    def check_time(self) -> None:
        """The clock may have struck while there was no socket to cut off."""
        if self.is_late:
            raise TimeoutError

    def _cut_off(self) -> None:
        """A receiver that sends a byte now and then is never silent: no time-out of a single read would end it."""
        self.is_late = True
        if self.sock is not None:
            try:
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
            except OSError:  # it has ended by itself
                return


def _connected(place: Place) -> socket.socket:
    connected = socket.socket(place.family, socket.SOCK_STREAM)
    try:
        connected.settimeout(POST_S)
        connected.connect(place.address)
    except OSError:
        connected.close()
        raise
    return connected


def _start_of(response: http.client.HTTPResponse) -> str:
    """The first of the body. That it breaks off here changes nothing: the status has been said."""
    read = b""
    with suppress(OSError, http.client.HTTPException, ValueError):
        while len(read) < READ_BYTES and (more := response.read1(READ_BYTES - len(read))):
            read += more
    return read.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")[:KEPT_CHARS]


def _said(status: int) -> str:
    """What is wrong with a status, in words; nothing for a good one."""
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return ""
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return _("It answered with a redirect, which is not followed. Give the address that it leads to.")
    return _("It answered with the status %(status)d.") % {"status": status}


def _late() -> str:
    return _("It did not answer within %(seconds)d seconds.") % {"seconds": POST_S}


def _why(error: Exception) -> str:
    match error:
        case socket.gaierror():
            return _("The name of the host is not known.")
        case ConnectionRefusedError():
            return _("The connection was refused.")
        case ssl.SSLCertVerificationError():
            return _("Its certificate is not valid: %(why)s.") % {"why": error.verify_message}
        case ssl.SSLError():
            return _("There is no TLS at this address.")
        case http.client.RemoteDisconnected() | ConnectionResetError() | BrokenPipeError():
            return _("It ended the connection without an answer.")
        case http.client.HTTPException():
            return _("What came back is not HTTP.")
    return _("It cannot be reached.")


def _retry_after(headers: http.client.HTTPMessage) -> int:
    """Seconds; 0 where none are asked for, and for the form with a date."""
    said = headers.get("retry-after", "").strip()
    return min(int(said), MAX_RETRY_AFTER_S) if said.isascii() and said.isdigit() else 0


def _ms_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
