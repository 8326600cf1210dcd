"""A tiny random GPT-2 with a tokenizer of its own, a Hub that has it, and workers that serve it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from inference import wire
from tests.servers import Servers
from tests.tiny_model import write_model
from tests.workers.hub import Hub
from tests.workers.processes import Caller, GpuWorker

PROMPT = [5, 6, 7]


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny", seed=11)


@pytest.fixture(scope="session")
def other_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "other", seed=12)


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.close()


@pytest.fixture(scope="session")
def release(hub: Hub, model_folder: Path) -> wire.ReleaseRef:
    return hub.publish("tests/tiny", model_folder)


@pytest.fixture(scope="session")
def other_release(hub: Hub, other_folder: Path) -> wire.ReleaseRef:
    return hub.publish("tests/other", other_folder)


@pytest.fixture
def new_release(hub: Hub, tmp_path: Path) -> wire.ReleaseRef:
    """One that no worker has seen."""
    name = tmp_path.name
    return hub.publish(f"tests/{name}", write_model(tmp_path / "model", seed=hash(name) % 10_000))


@pytest.fixture(autouse=True)
def empty_redis(servers: Servers) -> Iterator[None]:
    """No test finds what another left in the queues."""
    yield
    with redis.Redis.from_url(servers.redis_url) as client:
        client.flushall()


@pytest.fixture
def start_worker(servers: Servers, tmp_path: Path, empty_redis: None) -> Iterator[Callable[..., GpuWorker]]:
    """Starts workers that report; whatever still runs at the end is killed."""
    started: list[GpuWorker] = []

    def start(*, ready: bool = True, **environment: str) -> GpuWorker:
        worker = GpuWorker(servers, tmp_path / f"worker-{len(started)}", **environment)
        started.append(worker)
        if ready:
            worker.wait_until_ready()
        return worker

    yield start
    for worker in started:
        worker.stop()


@pytest.fixture(scope="session")
def shared_worker(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GpuWorker]:
    worker = GpuWorker(servers, tmp_path_factory.mktemp("worker"))
    yield worker
    worker.stop()


@pytest.fixture
def worker(shared_worker: GpuWorker, empty_redis: None) -> GpuWorker:
    """A worker for tests that do it no harm: they share one, and each finds Redis empty, as after a flush."""
    shared_worker.wait_until_ready()
    return shared_worker


@pytest.fixture
def caller(servers: Servers) -> Iterator[Caller]:
    caller = Caller(servers.redis_url)
    yield caller
    caller.redis.close()
