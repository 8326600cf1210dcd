"""GPU workers as processes of their own, and a gateway's side of the wire to drive them with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import redis
from celery import Celery

from inference import wire
from tests.servers import Servers
from tests.waiting import await_that

ROOT = Path(__file__).resolve().parents[2]


def broker_url(servers: Servers, database: int) -> str:
    return f"{servers.redis_url.replace('unix://', 'redis+socket://', 1)}?virtual_host={database}"


class GpuWorker:
    """``python -m workers.gpu`` on the servers of this session."""

    def __init__(self, servers: Servers, folder: Path, *, database: int, **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"worker-{uuid.uuid4().hex[:8]}.log"
        self._redis = redis.Redis.from_url(servers.redis_url, db=database)
        knobs = {
            "DATA_DIR": str(folder),
            "REDIS_URL": f"{servers.redis_url}?db={database}",
            "BROKER_URL": broker_url(servers, database),
            "DEVICE": "cpu",
            "TORCH_THREADS": "1",
            "GPU_SLOTS": "16",
        }
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LD_PRELOAD") if name in os.environ}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "workers.gpu"],
                cwd=ROOT,
                env={**inherited, **knobs, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def report(self) -> wire.Replica | None:
        """What it last said of itself; None before the first report, and once it is gone."""
        names = {name.decode() for name in self._redis.smembers(wire.REPLICAS)}
        mine = [name for name in names if name.endswith(f"-{self.process.pid}")]
        data = self._redis.get(wire.REPLICA_PREFIX + mine[0]) if mine else None
        return wire.Replica.decode(data) if data else None

    def wait_until_ready(self) -> wire.Replica:
        def reported() -> wire.Replica | None:
            assert self.process.poll() is None, f"the worker has died:\n{self.log.read_text()[-4000:]}"
            try:
                return self.report()
            except redis.RedisError:
                return None

        return await_that(reported, "the worker reports", timeout_s=90)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        self._redis.close()


class Caller:
    """Sends attempts as a gateway does, and collects what comes back on its reply stream."""

    def __init__(self, servers: Servers, *, database: int) -> None:
        self.redis = redis.Redis.from_url(servers.redis_url, db=database)
        self.stream = wire.reply_stream(uuid.uuid4().hex)
        self.chunks: list[wire.Chunk] = []  # of attempts that were the newest of their run when they were read
        self.stale: list[wire.Chunk] = []  # of older ones
        self._epochs: dict[str, int] = {}
        self._sender = Celery("caller", broker=broker_url(servers, database), set_as_current=False)
        self._last = "0"

    def spec(
        self, release: wire.ReleaseRef, prompt_ids: list[int], *, deadline_s: float = 600, **sampling: object
    ) -> wire.CompletionSpec:
        return wire.CompletionSpec(
            run_id=uuid.uuid4().hex,
            epoch=1,
            reply_to=self.stream,
            release=release,
            prompt_ids=prompt_ids,
            sampling=wire.Sampling(**{"max_tokens": 8, "temperature": 0.0, **sampling}),  # type: ignore[arg-type]
            deadline=time.time() + deadline_s,
        )

    def send(self, spec: wire.CompletionSpec, queue: str = wire.COLD_QUEUE) -> wire.CompletionSpec:
        self.send_raw(spec.as_json(), queue)
        return spec

    def send_raw(self, message: dict[str, object], queue: str = wire.COLD_QUEUE) -> None:
        self._sender.send_task(wire.SERVE_TASK, args=(message,), queue=queue)

    def again(self, spec: wire.CompletionSpec, queue: str = wire.COLD_QUEUE) -> wire.CompletionSpec:
        """Sends the next attempt, from the tokens that were heard; what older ones still say is not listened to."""
        return self.send(self.next_after(spec), queue)

    def next_after(self, spec: wire.CompletionSpec) -> wire.CompletionSpec:
        """The next attempt, from the tokens that were heard."""
        self.read()
        self._epochs[spec.run_id] = spec.epoch + 1
        return replace(spec, epoch=spec.epoch + 1, heard_ids=self.tokens(spec.run_id))

    def newest(self, spec: wire.CompletionSpec) -> wire.CompletionSpec:
        """The spec under the epoch that is listened to."""
        return replace(spec, epoch=self._epochs.get(spec.run_id, spec.epoch))

    def abort(self, spec: wire.CompletionSpec) -> None:
        self.redis.publish(wire.ABORT_CHANNEL, wire.Abort(run_id=spec.run_id, epoch=spec.epoch).encode())

    def read(self) -> None:
        """Takes in whatever has been written since."""
        try:
            answer = self.redis.xread({self.stream: self._last}, block=20) or []
        except redis.ConnectionError:
            return
        for _stream, entries in answer:
            for entry_id, fields in entries:
                self._last = entry_id
                for chunk in wire.decode_chunks(fields[b"m"]):
                    is_stale = chunk.epoch < self._epochs.get(chunk.run_id, 0)
                    (self.stale if is_stale else self.chunks).append(chunk)

    def heard(self, run_id: str) -> list[wire.Chunk]:
        return [chunk for chunk in self.chunks if chunk.run_id == run_id]

    def tokens(self, run_id: str) -> list[int]:
        """The run's tokens as a gateway would have them; a gap fails the test."""
        tokens: list[int] = []
        for chunk in self.heard(run_id):
            if chunk.token_ids and chunk.index + len(chunk.token_ids) > len(tokens):
                assert chunk.index == len(tokens), "indexes are contiguous"
                tokens += chunk.token_ids
        return tokens

    def text(self, run_id: str) -> str:
        return "".join(c.text for c in self.heard(run_id))

    def wait_for(
        self, condition: Callable[[wire.Chunk], bool], spec: wire.CompletionSpec, *, timeout_s: float = 110
    ) -> wire.Chunk:
        """Reads until a chunk of this attempt meets the condition."""

        def found() -> wire.Chunk | None:
            self.read()
            said = [c for c in (*self.chunks, *self.stale) if (c.run_id, c.epoch) == (spec.run_id, spec.epoch)]
            return next((chunk for chunk in said if condition(chunk)), None)

        return await_that(found, "such a chunk", timeout_s=timeout_s)

    def wait_for_end(self, spec: wire.CompletionSpec, *, timeout_s: float = 110) -> wire.Chunk:
        return self.wait_for(lambda chunk: chunk.finish_reason is not None, spec, timeout_s=timeout_s)
