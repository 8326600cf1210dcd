"""A tiny random GPT-2 with a tokenizer of its own, a Hub that has it, and workers that serve it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from inference import wire
from inference.engine import Engine, Output, Request
from tests.servers import Servers
from tests.tiny_model import write_model
from tests.workers.hub import Hub
from tests.workers.listener import Listener
from tests.workers.processes import Caller, GpuWorker

PROMPT = [5, 6, 7]
SHARED = 6  # not 0, where whole stores are: this worker lives as long as the session, and would take their calls


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny", seed=11)


@pytest.fixture(scope="session")
def other_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Larger: a long run of it takes seconds."""
    return write_model(tmp_path_factory.mktemp("models") / "other", seed=12, width=64, layers=4)


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


@pytest.fixture
def database() -> int:
    """The number of the Redis database that a test and its workers use; a module with workers of its own has another one."""
    return SHARED


@pytest.fixture(autouse=True)
def empty_redis(servers: Servers, database: int) -> Iterator[None]:
    """No test finds what another left in the queues."""
    yield
    with redis.Redis.from_url(servers.redis_url, db=database) as client:
        client.flushdb()


@pytest.fixture(scope="session")
def shared_worker(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GpuWorker]:
    worker = GpuWorker(servers, tmp_path_factory.mktemp("worker"), database=SHARED)
    yield worker
    worker.stop()


@pytest.fixture
def worker(shared_worker: GpuWorker, empty_redis: None) -> GpuWorker:
    """A worker for tests that do it no harm: they share one, and each finds Redis empty, as after a flush."""
    shared_worker.wait_until_ready()
    return shared_worker


@pytest.fixture
def start_worker(
    servers: Servers, tmp_path: Path, database: int, empty_redis: None
) -> Iterator[Callable[..., GpuWorker]]:
    """Starts workers that report; whatever still runs at the end is killed."""
    started: list[GpuWorker] = []

    def start(**environment: str) -> GpuWorker:
        worker = GpuWorker(servers, tmp_path, database=database, **environment)
        started.append(worker)
        worker.wait_until_ready()
        return worker

    yield start
    for worker in started:
        worker.stop()


@pytest.fixture
def caller(servers: Servers, database: int) -> Iterator[Caller]:
    caller = Caller(servers, database=database)
    yield caller
    caller.redis.close()


@pytest.fixture
def listener(servers: Servers, database: int) -> Iterator[Listener]:
    made = Listener(servers, database=database)
    yield made
    made.redis.close()


def run_alone(folder: Path, spec: wire.CompletionSpec) -> list[Output]:
    """What the engine makes of a spec without any worker around it."""
    engine = Engine.load(folder, max_batch=4)
    request = Request(
        id="x", prompt_ids=spec.prompt_ids, heard_ids=[], sampling=spec.sampling, deadline=time.time() + 600
    )
    engine.submit(request)
    outputs: list[Output] = []
    while engine.has_work:
        outputs += engine.step()
    return outputs


def assert_whole(caller: Caller, spec: wire.CompletionSpec, folder: Path) -> None:
    """The run is what it would have been, had nothing happened."""
    alone = run_alone(folder, spec)
    assert caller.tokens(spec.run_id) == [token for output in alone for token in output.token_ids]
    assert caller.text(spec.run_id) == "".join(output.text for output in alone)
