"""From a record to tokens, and which of them are learned.

Every example is what the model will see when it is called: the prompt in the tokens that a call would have, then the answer. Text
of users is never read as control tokens (inference.prompt).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from inference.errors import PromptError
from inference.prompt import PromptEncoder
from inference.training.data.records import BadData, DataFormat, Fault, Record

# For a base without a chat template: the dialogue that such a base is asked with when it is called (inference.prompt), and the
# tokenizer's own end after each answer, so that the model learns to stop. It is stored in the result.
TRAINING_TEMPLATE: Final = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] | capitalize }}: {{ message['content'] | trim }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
CUT_AWAY: Final = "cut_away"  # the code of an example of which nothing to learn is left
CHUNK_CHARS: Final = 1024**2  # of a text, that are turned into tokens at once


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example. ``weights``: of each token in the loss, 0 to 1; 0 is not learned. Both are as long as the example, cut."""

    input_ids: list[int]
    weights: list[float]
    full_length: int  # tokens before it was cut

    @property
    def tokens(self) -> int:
        """What it counts: every token that the model reads."""
        return len(self.input_ids)

    @property
    def trainable_tokens(self) -> int:
        """Those that the loss is taken over. The first token of an example never is: nothing comes before it."""
        return sum(weight > 0 for weight in self.weights)

    @property
    def truncated(self) -> bool:
        return self.full_length > len(self.input_ids)


@dataclass(frozen=True, slots=True)
class EncodedPair:
    """A question and two answers, each cut so that it and the question fit."""

    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: list[int]
    full_length: int  # tokens of the question and the longer answer, before they were cut

    @property
    def tokens(self) -> int:
        """What it counts: the question is read with either answer."""
        return 2 * len(self.prompt_ids) + self.trainable_tokens

    @property
    def trainable_tokens(self) -> int:
        return len(self.chosen_ids) + len(self.rejected_ids)

    @property
    def truncated(self) -> bool:
        return self.full_length > len(self.prompt_ids) + max(len(self.chosen_ids), len(self.rejected_ids))


def training_encoder(folder: Path, *, config: dict[str, Any] | None = None) -> PromptEncoder:
    """The tokenizer and template of a base, TRAINING_TEMPLATE where it has none. Raises PromptError and OSError."""
    return PromptEncoder.from_folder(folder, config=config, default_template=TRAINING_TEMPLATE)


def encode_record(record: Record, encoder: PromptEncoder, *, max_length: int) -> list[Encoded] | list[EncodedPair]:
    """What is trained of a record: one example, or of a text as many windows of ``max_length`` tokens as it takes.

    Raises BadData where nothing can be made of it.
    """
    if record.format == DataFormat.TEXT:
        return encode_windows(record, encoder, max_length=max_length)
    if record.format == DataFormat.PREFERENCE:
        return [encode_pair(record, encoder, max_length=max_length)]
    return [encode(record, encoder, max_length=max_length)]


def encode_records(
    records: Iterable[Record], encoder: PromptEncoder, *, max_length: int, skipped: list[Fault]
) -> Iterator[Encoded | EncodedPair]:
    """Every example of a file, in order. One of which the cut leaves nothing to learn is left out, and said in ``skipped``.

    This is what is counted before a training, and what is trained. Raises BadData where an example cannot be encoded at all.
    """
    for record in records:
        try:
            yield from encode_record(record, encoder, max_length=max_length)
        except BadData as error:
            if error.fault.code != CUT_AWAY:
                raise
            skipped.append(error.fault)


def encode(record: Record, encoder: PromptEncoder, *, max_length: int) -> Encoded:
    """A dialogue or a completion, cut at its end. Raises BadData: also where the cut leaves nothing to learn."""
    try:
        spans = _dialogue(record, encoder) if record.format == DataFormat.CHAT else _completion(record, encoder)
    except PromptError as error:
        raise BadData(Fault(record.line, "not_encodable", f"It cannot be turned into tokens: {error}.")) from error
    ids: list[int] = []
    weights: list[float] = []
    for span, weight in spans:
        ids += span
        weights += [weight] * len(span)
    weights[0] = 0.0
    made = Encoded(ids[:max_length], weights[:max_length], len(ids))
    if not made.trainable_tokens:
        message = f"Of its {len(ids)} tokens the first {max_length} hold nothing to learn. Shorten the prompt, or train with more tokens."
        raise BadData(Fault(record.line, CUT_AWAY, message))
    return made


def encode_pair(record: Record, encoder: PromptEncoder, *, max_length: int) -> EncodedPair:
    """A preference. Where it is too long, the question loses its beginning first, and the answers at least half of ``max_length`` is left.

    Raises BadData.
    """
    try:
        prompt, chosen, rejected = _pair(record, encoder)
    except PromptError as error:
        raise BadData(Fault(record.line, "not_encodable", f"It cannot be turned into tokens: {error}.")) from error
    longer = max(len(chosen), len(rejected))
    full_length = len(prompt) + longer
    room = max(max_length - min(longer, max_length // 2), 1)
    kept = prompt[-room:]
    most = max(max_length - len(kept), 1)
    return EncodedPair(kept, chosen[:most], rejected[:most], full_length)


def encode_windows(record: Record, encoder: PromptEncoder, *, max_length: int) -> list[Encoded]:
    """A text, cut into windows; its last token is the tokenizer's end, where the text ends with the record. Every token is learned.

    Raises BadData.
    """
    text = record.fields["text"]
    ids: list[int] = []
    try:
        for begin in range(0, len(text), CHUNK_CHARS):
            ids += encoder.encode_text(text[begin : begin + CHUNK_CHARS])
    except PromptError as error:
        raise BadData(Fault(record.line, "not_encodable", f"It cannot be turned into tokens: {error}.")) from error
    if not record.fields.get("goes_on"):
        ids += end_ids(encoder)
    windows = [ids[begin : begin + max_length] for begin in range(0, len(ids), max_length)]
    return [Encoded(window, [0.0] + [1.0] * (len(window) - 1), len(window)) for window in windows]


def end_ids(encoder: PromptEncoder) -> list[int]:
    """The token that ends an answer: the lowest of those that the base stops at; [] where it has none."""
    return sorted(encoder.eos_ids)[:1]


def _dialogue(record: Record, encoder: PromptEncoder) -> list[tuple[list[int], float]]:
    messages: list[dict[str, Any]] = record.fields["messages"]
    spans: list[tuple[list[int], float]] = []
    for ids, index in encoder.encode_dialogue(_bare(messages), tools=record.fields["tools"]):
        if index is None:
            spans.append((ids, 0.0))
            continue
        answer, rest = _after_end(ids, encoder.eos_ids)
        spans += [(answer, float(messages[index].get("weight", 1))), (rest, 0.0)]
    return spans


def _completion(record: Record, encoder: PromptEncoder) -> list[tuple[list[int], float]]:
    """The prompt as ``/v1/completions`` reads it, then the completion, then the end."""
    prompt, completion = record.fields["prompt"], record.fields["completion"]
    asked = encoder.encode_text(prompt) if prompt else encoder.begin_ids
    answer = encoder.encode_after(completion) + end_ids(encoder)
    return [(asked, 0.0), (answer, 1.0)]


def _pair(record: Record, encoder: PromptEncoder) -> tuple[list[int], list[int], list[int]]:
    fields = record.fields
    if isinstance(fields["prompt"], str):
        end = end_ids(encoder)
        answers = (encoder.encode_after(fields[name]) + end for name in ("chosen", "rejected"))
        return encoder.encode_text(fields["prompt"]), *answers  # type: ignore[return-value]  # two answers
    asked = _bare(fields["prompt"])
    both = []
    for name in ("chosen", "rejected"):
        spans = encoder.encode_dialogue([*asked, *_bare(fields[name])], tools=fields["tools"])
        split = next(number for number, (_ids, index) in enumerate(spans) if index is not None and index >= len(asked))
        both.append((_joined(spans[:split]), _after_end(_joined(spans[split:]), encoder.eos_ids)[0]))
    return both[0][0], both[0][1], both[1][1]


def _bare(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in message.items() if key != "weight"} for message in messages]


def _joined(spans: Sequence[tuple[list[int], int | None]]) -> list[int]:
    return [token for ids, _index in spans for token in ids]


def _after_end(ids: list[int], eos_ids: frozenset[int]) -> tuple[list[int], list[int]]:
    """What a template writes after the last end token (a newline, often) is never asked of the model."""
    at = next((number + 1 for number in range(len(ids) - 1, -1, -1) if ids[number] in eos_ids), len(ids))
    return ids[:at], ids[at:]
