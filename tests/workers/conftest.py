"""A tiny random GPT-2 with a tokenizer of its own, a Hub that has it, and workers that serve it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel

from inference import wire
from tests.servers import Servers
from tests.workers.hub import Hub
from tests.workers.processes import Caller, GpuWorker

CONTEXT = 2048  # tokens: long enough that a run can be caught in the middle
TEXT = ["The quick brown fox jumps over the lazy dog, to be or not to be: that is the question."] * 20
PROMPT = [5, 6, 7]


def write_model(folder: Path, *, seed: int) -> Path:
    """A release on disk. It never ends by itself: its end-of-text token is as unlikely as any of 300."""
    folder.mkdir(parents=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXT,
        trainers.BpeTrainer(vocab_size=300, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    torch.manual_seed(seed)
    size = tokenizer.get_vocab_size()
    config = GPT2Config(vocab_size=size, n_positions=CONTEXT, n_embd=32, n_layer=2, n_head=4, initializer_range=0.3)
    config.bos_token_id = config.eos_token_id = None
    GPT2LMHeadModel(config).eval().save_pretrained(folder)
    return folder


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


@pytest.fixture
def worker(start_worker: Callable[..., GpuWorker]) -> GpuWorker:
    return start_worker()


@pytest.fixture
def caller(servers: Servers) -> Iterator[Caller]:
    caller = Caller(servers.redis_url)
    yield caller
    caller.redis.close()
