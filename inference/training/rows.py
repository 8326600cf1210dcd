"""From files of examples to the rows that are trained, in the order in which they are.

Rows are written to disk once and mapped into memory, so a file of a gigabyte takes no gigabyte. The order is a function of the seed:
one permutation after the other, so a step is always the same rows, whoever makes it, and however often it was interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch.utils.data import Sampler
from trl.data_utils import pack_dataset

from inference.errors import InvalidRequest
from inference.prompt import PromptEncoder
from inference.training.data import BadData, Encoded, EncodedPair, encode_record, read_records
from inference.training.task import DataFile
from inference.wire import Hyper

BATCH: Final = 512  # examples that are in memory while rows are written
CUT_AWAY: Final = "cut_away"  # the code of an example that is too long to learn from
IGNORED: Final = -100  # a label that is no target
EXAMPLES: Final = pa.schema({"input_ids": pa.list_(pa.int32()), "weights": pa.list_(pa.float32())})
PAIRS: Final = pa.schema({name: pa.list_(pa.int32()) for name in ("prompt_ids", "chosen_ids", "rejected_ids")})


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """``tokens``: of each row, what it counts. Shape: (rows,) int64."""

    dataset: Dataset
    tokens: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.tokens)

    def part(self, indexes: NDArray[np.int64]) -> Rows:
        return Rows(dataset=self.dataset.select(indexes), tokens=self.tokens[indexes])


def read_rows(file: DataFile, encoder: PromptEncoder, *, max_length: int, folder: Path) -> Rows:
    """One row for each example; of what is cut off before its answer begins there is none, and nothing is charged.

    Raises :class:`inference.training.data.BadData` and :class:`OSError`.
    """
    path = folder / "rows.arrow"
    folder.mkdir(parents=True, exist_ok=True)
    is_pairs = file.format == "preference"
    schema = PAIRS if is_pairs else EXAMPLES
    tokens: list[int] = []
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        batch: list[dict[str, Any]] = []
        for example in _examples(file, encoder, max_length):
            batch.append(_as_row(example))
            tokens.append(example.tokens)
            if len(batch) == BATCH:
                writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
                batch = []
        if batch:
            writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
    return Rows(dataset=Dataset.from_file(str(path)), tokens=np.array(tokens, dtype=np.int64))


def _examples(file: DataFile, encoder: PromptEncoder, max_length: int) -> Iterator[Encoded | EncodedPair]:
    for record in read_records(file.path, filename=file.filename, format=file.format, mapping=file.mapping):
        try:
            examples = encode_record(record, encoder, max_length=max_length)
        except BadData as error:
            if error.fault.code == CUT_AWAY:
                continue
            raise
        yield from (example for example in examples if example.trainable_tokens)


def _as_row(example: Encoded | EncodedPair) -> dict[str, Any]:
    if isinstance(example, Encoded):
        return {"input_ids": example.input_ids, "weights": example.weights}
    return {
        "prompt_ids": example.prompt_ids, "chosen_ids": example.chosen_ids, "rejected_ids": example.rejected_ids,
    }  # fmt: skip


def split_rows(rows: Rows, *, share: float, seed: int) -> tuple[Rows, Rows | None]:
    """What is trained, and what is held out: drawn by the seed, at least one row of each where there are two."""
    count = min(max(1, round(share * len(rows))), len(rows) - 1) if share else 0
    if not count:
        return rows, None
    order = np.random.default_rng([seed, len(rows)]).permutation(len(rows))
    return rows.part(np.sort(order[count:])), rows.part(np.sort(order[:count]))


def packed(rows: Rows, *, max_length: int) -> Rows:
    """Several examples in a row, as many as fit (best fit decreasing); ``seq_lengths`` says where each ends."""
    dataset = pack_dataset(rows.dataset, max_length, "bfd")
    lengths = np.array([sum(lengths) for lengths in dataset["seq_lengths"]], dtype=np.int64)
    return Rows(dataset=dataset, tokens=lengths)


class Order(Sampler[int]):
    """The rows as they are trained. ``tokens_after``: how many tokens that is after each step. Shape: (steps + 1,) int64."""

    def __init__(self, rows: Rows, hyper: Hyper, *, token_limit: int = 0) -> None:
        """Raises :class:`InvalidRequest` where not one step can be made of what is held."""
        self._per_step = hyper.batch_size * hyper.accumulation
        total = hyper.steps * self._per_step if hyper.steps else math.ceil((hyper.epochs or 0) * len(rows))
        self._order = _permutations(len(rows), total, hyper.seed)
        ends = np.minimum(np.arange(0, total + self._per_step, self._per_step), total)
        after = np.concatenate([[0], np.cumsum(rows.tokens[self._order])])[ends]
        self.was_limited = bool(token_limit and after[-1] > token_limit)
        if self.was_limited:
            after = after[: int(np.searchsorted(after, token_limit, side="right"))]
            self._order = self._order[: ends[len(after) - 1]]
        if len(after) < 2:
            raise InvalidRequest(
                f"one step trains more than the {token_limit} tokens that are held", param="token_limit"
            )
        self.tokens_after: NDArray[np.int64] = after
        self._rows = len(rows)

    @property
    def steps(self) -> int:
        return len(self.tokens_after) - 1

    def epochs_after(self, step: int) -> float:
        """Passes over the data."""
        return min(step * self._per_step, len(self._order)) / self._rows

    def __iter__(self) -> Iterator[int]:
        return iter(self._order.tolist())

    def __len__(self) -> int:
        return len(self._order)


def _permutations(rows: int, total: int, seed: int) -> NDArray[np.int64]:
    """One permutation of all rows after the other, ``total`` in all."""
    passes = [np.random.default_rng([seed, number]).permutation(rows) for number in range(math.ceil(total / rows))]
    return np.concatenate(passes)[:total].astype(np.int64) if passes else np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Collator:
    """Rows to tensors, padded on the right, where causal attention needs no mask. Each (B, T); ``weights`` only where some are broken.

    Rows of several examples get ``position_ids``, which begin again with each: transformers keeps such examples apart.
    """

    pad_id: int

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        longest = max(len(row["input_ids"]) for row in rows)
        ids = np.full((len(rows), longest), self.pad_id, dtype=np.int64)
        labels = np.full((len(rows), longest), IGNORED, dtype=np.int64)
        weights = np.zeros((len(rows), longest), dtype=np.float32)
        for number, row in enumerate(rows):
            length = len(row["input_ids"])
            ids[number, :length] = row["input_ids"]
            weights[number, :length] = row["weights"]
            labels[number, :length] = np.where(weights[number, :length] > 0, ids[number, :length], IGNORED)
        made = {"input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(labels)}
        if ((weights > 0) & (weights < 1)).any():
            made["weights"] = torch.from_numpy(weights)
        if any(len(row.get("seq_lengths") or ()) > 1 for row in rows):
            made["position_ids"] = torch.from_numpy(_positions(rows, longest))
        return made


def _positions(rows: list[dict[str, Any]], longest: int) -> NDArray[np.int64]:
    positions = np.zeros((len(rows), longest), dtype=np.int64)
    for number, row in enumerate(rows):
        at = 0
        for length in row["seq_lengths"]:
            positions[number, at : at + length] = np.arange(length)
            at += length
    return positions
