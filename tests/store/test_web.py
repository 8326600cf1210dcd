"""A web process goes without a client noticing."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
APPLICATION = """
import asyncio, sys
import uvicorn
from store.web import DrainingServer
import socket
async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            await send({"type": (await receive())["type"] + ".complete"})
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(5):
        await asyncio.sleep(0.05)
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
    await send({"type": "http.response.body", "body": b"."})
config = uvicorn.Config(application, http="httptools", log_config=None, access_log=False, timeout_graceful_shutdown=30)
DrainingServer(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])
"""


def start(listener: socket.socket) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", APPLICATION, str(listener.fileno())]
    return subprocess.Popen(command, cwd=ROOT, pass_fds=[listener.fileno()])


async def ask(port: int) -> bytes:
    """A call of a client whose request comes a moment after its connection, as it does from afar."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.sleep(0.02)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer


async def test_under_load_processes_are_replaced_one_after_another_and_no_request_fails() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    processes = [start(listener), start(listener)]
    answers: list[bytes] = []
    are_replaced = asyncio.Event()

    async def client() -> None:
        while not are_replaced.is_set():
            answers.append(await ask(listener.getsockname()[1]))

    async def replace_each() -> None:
        for old in list(processes):
            await asyncio.gather(*(ask(listener.getsockname()[1]) for _ in range(40)))  # both are up
            old.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(old.wait, 60)
            assert code == -signal.SIGTERM  # uvicorn raises it again when all is done
            processes.append(start(listener))
        are_replaced.set()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(16):
                group.create_task(client())
            group.create_task(replace_each())
    finally:
        for process in processes:
            process.kill()
            process.wait()
        listener.close()
    assert len(answers) >= 16
    assert [
        answer for answer in answers if not answer.startswith(b"HTTP/1.1 200 OK") or not answer.endswith(b"0\r\n\r\n")
    ] == []
