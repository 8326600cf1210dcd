"""The messages between store and workers, there and back through JSON."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from inference import wire

BASE = wire.ReleaseRef(digest=f"sha256:{1:064x}", repo_id="acme/base", endpoint="http://store", token="a", size=1000)
ADAPTER = wire.ReleaseRef(
    digest=f"sha256:{2:064x}", repo_id="acme/adapter", endpoint="http://store", token="b", size=10, base=BASE
)
BASE_JSON = {"digest": "x", "repo_id": "y", "endpoint": "z", "token": "", "size": 1}
RUN = wire.CompletionSpec(
    run_id="r", epoch=2, reply_to="reply:g", release=ADAPTER, prompt_ids=[1, 2, 3],
    sampling=wire.Sampling(max_tokens=0, stop=("a", "b")), deadline=5.0, task="embed", lengths=[1, 2],
)  # fmt: skip
EVALUATE = wire.EvaluateSpec(measurement_id=1, attempt=2, release=ADAPTER)
CONVERT = wire.ConvertSpec(
    job_id=1, attempt=1, source_url="http://store/a.pth", source_name="a.pth", source_sha256="0" * 64, source_size=5,
    base=BASE, target_url="http://store/uploads", organization="acme", token="c",
)  # fmt: skip
DATA = wire.DataRef(
    url="http://store/data",
    sha256="0" * 64,
    size=7,
    format="chat",
    filename="train.jsonl",
    token="d",
    mapping={"prompt": "q"},
)
TUNE = wire.TuneSpec(
    job_id=7, epoch=3, name="ftjob-a", method="supervised", adaptation="lora", base=BASE, training=DATA, validation=DATA,
    hyper=wire.Hyper(epochs=3), upload_url="http://store/uploads", organization="acme", token="e", sample_prompts=["Ay?"],
    resume=wire.CheckpointRef(step=4, trained_tokens=90, files={"a": "0" * 64}, url="http://store/blobs/", token="f"),
)  # fmt: skip
SCRATCH = wire.TuneSpec(
    job_id=8, epoch=1, name="ftjob-b", method="scratch", adaptation="full", training=DATA, hyper=wire.Hyper(steps=9),
    upload_url="http://store/uploads", organization="acme", token="e", model=wire.ScratchConfig(layers=2),
)  # fmt: skip
TUNED = wire.TuneReport(
    status="checkpoint", step=4, steps=9, trained_tokens=90, points=[wire.Point(step=4, loss=2.5, trained_tokens=90)],
    samples=[wire.Sample(step=4, prompt="Ay?", answer="Ay.")],
    checkpoint=wire.Checkpoint(step=4, trained_tokens=90, files={"a": "0" * 64}, model_files=["a"], is_best=True),
)  # fmt: skip
MESSAGES: list[Any] = [
    RUN, EVALUATE, CONVERT, TUNE, SCRATCH, TUNED, wire.TuneReport(status="done", files={"a": "0" * 64}), wire.MeasurementReport(status="done", perplexity=3.5, sample="Ay."),
    wire.ConversionReport(status="done", files={"model.safetensors": "0" * 64}, notes=["Turned."]),
]  # fmt: skip


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_comes_back_as_it_went(message: Any) -> None:
    assert type(message).from_json(json.loads(json.dumps(message.as_json()))) == message
    assert type(message).from_json(json.loads(msgspec.json.encode(message))) == message  # as the gateway sends it


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
@pytest.mark.parametrize("change", [{"version": 99}, {"version": None}, {"unheard_of": 1}])
def test_another_version_or_shape_is_no_message(message: Any, change: dict[str, object]) -> None:
    with pytest.raises(wire.WireError):
        type(message).from_json(message.as_json() | change)


@pytest.mark.parametrize("release", [None, 5, {}, {"digest": "x"}, {**BASE_JSON, "base": 5}])
def test_a_release_of_another_shape_is_no_message(release: object) -> None:
    with pytest.raises(wire.WireError):
        wire.EvaluateSpec.from_json(EVALUATE.as_json() | {"release": release})


def test_an_adapter_weighs_what_it_and_its_base_do() -> None:
    assert (BASE.total_size, ADAPTER.total_size) == (1000, 1010)


def test_a_chunk_carries_an_embedding() -> None:
    chunk = wire.Chunk(
        run_id="r", epoch=1, embedding="AACAPw==", finish_reason="stop",
        usage=wire.Usage(prompt_tokens=3, completion_tokens=0),
    )  # fmt: skip
    assert wire.decode_chunks(wire.encode_chunks([chunk])) == [chunk]


def test_a_control_says_what_is_wanted_of_which_attempt() -> None:
    control = wire.Control(epoch=3, wanted="pause")
    assert wire.Control.decode(control.encode().encode()) == control


@pytest.mark.parametrize("data", ["", "5", "{}", '{"epoch": 1, "wanted": "dance"}', '{"epoch": null, "wanted": "run"}'])
def test_a_control_of_another_shape_is_no_message(data: str) -> None:
    with pytest.raises(wire.WireError):
        wire.Control.decode(data)


@pytest.mark.parametrize(
    "change", [{"training": None}, {"hyper": {"unheard_of": 1}}, {"resume": {"step": 1}}, {"model": 5}]
)
def test_a_job_of_another_shape_is_no_message(change: dict[str, object]) -> None:
    with pytest.raises(wire.WireError):
        wire.TuneSpec.from_json(TUNE.as_json() | change)
