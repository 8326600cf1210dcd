"""A server that takes webhooks, and does what a test tells it to: answer, fail, hang, dribble, talk nonsense."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Act = Callable[["Handler"], None]


@dataclass(frozen=True)
class Received:
    """One request, as it came."""

    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes


@dataclass
class Receiver:
    """``acts`` are played one after another, the last one for ever."""

    acts: list[Act]
    received: list[Received] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    most_at_once: int = 0

    def __post_init__(self) -> None:
        self._lock, self._at_once = threading.Lock(), 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("OwnHandler", (Handler,), {"receiver": self}))
        self.server.daemon_threads = True
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/hooks?source=store"

    @property
    def ids(self) -> list[str]:
        return [each.headers["webhook-id"] for each in self.received]

    def take(self, request: Received) -> Act:
        with self._lock:
            self.received.append(request)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            return self.acts[min(len(self.received), len(self.acts)) - 1]

    def left(self) -> None:
        with self._lock:
            self._at_once -= 1

    def close(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


class Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        act = self.receiver.take(Received(self.path, headers, body))
        try:
            act(self)
        except OSError:  # the store has hung up
            self.close_connection = True
        finally:
            self.receiver.left()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is written."""


def answer(status: int, body: str = "", **headers: str) -> Act:
    def act(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", str(len(body.encode())))
        handler.end_headers()
        handler.wfile.write(body.encode())

    return act


def hang(handler: Handler) -> None:
    """Takes the request and says nothing."""
    handler.receiver.closing.wait(60)
    handler.close_connection = True


def dribble(handler: Handler) -> None:
    """Never silent, never done: a byte of a header now and then."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not handler.receiver.closing.wait(0.05):
        handler.wfile.write(b"x")


def endless(handler: Handler) -> None:
    """A good answer with a body that does not end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while not handler.receiver.closing.is_set():
        handler.wfile.write(b"\0\xff" * 4096)


def garbage(handler: Handler) -> None:
    """Not HTTP."""
    handler.wfile.write(b"\x16\x03\x01 hello, I am no web server\r\n\r\n")
    handler.close_connection = True


def hang_up(handler: Handler) -> None:
    """Ends the connection without a word."""
    handler.close_connection = True
