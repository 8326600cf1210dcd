"""Rows, widths and the waiting line, without a model."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.engine.detokenizer import Detokenizer, TokenBytes
from inference.engine.scheduler import Scheduler, Step
from inference.engine.sequence import Sequence
from tests.inference.runs import ask

NO_TEXT = TokenBytes([], strip_first_space=False)


def sequence(id_: str, prompt: int, limit: int) -> Sequence:
    request = ask(id_, [1] * prompt, max_tokens=limit - prompt)
    return Sequence(
        request=request, tokens=[1] * prompt, limit=limit, detokenizer=Detokenizer(NO_TEXT), eos_ids=frozenset()
    )


def compute(step: Step) -> None:
    """What a step does to the sequences: every part is computed, a token follows where one is sampled."""
    for part in step.parts:
        part.sequence.computed += part.count
        if part.samples:
            part.sequence.tokens.append(1)


def shape(step: Step) -> list[tuple[str, int, int, bool]]:
    return [(part.sequence.request.id, part.start, part.count, part.samples) for part in step.parts]


def test_a_long_prompt_is_computed_in_parts_beside_those_that_generate() -> None:
    scheduler = Scheduler(max_batch=4, max_step_tokens=10, kv_tokens=512, context_length=128)
    scheduler.add(sequence("a", 4, 30))
    scheduler.add(sequence("b", 14, 30))
    steps = []
    for _ in range(3):
        step = scheduler.schedule()
        steps.append(shape(step))
        compute(step)
    assert steps == [
        [("a", 0, 4, True), ("b", 0, 6, False)],
        [("a", 4, 1, True), ("b", 6, 8, True)],
        [("a", 5, 1, True), ("b", 14, 1, True)],
    ]


def test_the_last_row_moves_into_the_place_of_one_that_leaves() -> None:
    scheduler = Scheduler(max_batch=4, max_step_tokens=64, kv_tokens=512, context_length=128)
    a, b, c = (sequence(id_, 3, 20) for id_ in "abc")
    for one in (a, b, c):
        scheduler.add(one)
    compute(scheduler.schedule())
    move = scheduler.remove(a)
    assert move is not None
    assert (move.source, move.target, move.count) == (2, 0, 3)
    assert [one.row for one in (a, b, c)] == [None, 1, 0]
    assert scheduler.remove(b) is None
    assert scheduler.rows == [c]


def test_a_sequence_too_long_for_now_waits_and_those_behind_it_too() -> None:
    scheduler = Scheduler(max_batch=8, max_step_tokens=64, kv_tokens=256, context_length=256)
    short = [sequence(str(n), 3, 60) for n in range(2)]
    for one in [*short, sequence("long", 3, 250), sequence("last", 3, 60)]:
        scheduler.add(one)
    step = scheduler.schedule()
    assert {part.sequence.request.id for part in step.parts} == {"0", "1"}
    compute(step)
    for one in short:
        scheduler.remove(one)
    step = scheduler.schedule()
    assert [part.sequence.request.id for part in step.parts] == ["long"]
    assert step.width == 256


def test_sizes_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="max_step_tokens"):
        Scheduler(max_batch=8, max_step_tokens=8, kv_tokens=512, context_length=128)
    with pytest.raises(ValueError, match="kv_tokens"):
        Scheduler(max_batch=8, max_step_tokens=64, kv_tokens=100, context_length=128)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=12),
    st.integers(64, 400),
    st.integers(1, 5),
)
def test_everything_is_served_within_the_memory(wanted: list[tuple[int, int]], kv_tokens: int, max_batch: int) -> None:
    context = 64
    scheduler = Scheduler(max_batch=max_batch, max_step_tokens=20, kv_tokens=kv_tokens, context_length=context)
    left = {str(n) for n in range(len(wanted))}
    for n, (prompt, more) in enumerate(wanted):
        scheduler.add(sequence(str(n), prompt, min(prompt + more, context)))
    for _ in range(3000):
        step = scheduler.schedule()
        assert step.parts, "there is always something to do"
        assert sum(part.count for part in step.parts) <= 20
        assert len(scheduler.rows) * step.width <= kv_tokens
        assert [one.row for one in scheduler.rows] == list(range(len(scheduler.rows)))
        assert all(one.limit <= step.width for one in scheduler.rows)
        compute(step)
        for one in [s for s in scheduler.rows if len(s.tokens) >= s.limit]:
            scheduler.remove(one)
            left.discard(one.request.id)
        if not left:
            return
    raise AssertionError(f"{left} starve")
