"""Records into tokens: the prompt as a call has it, the answer to its end, and nothing else is learned."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from inference.prompt import PromptEncoder
from inference.training.data import (
    TRAINING_TEMPLATE,
    BadData,
    DataFormat,
    Encoded,
    Record,
    encode,
    encode_pair,
    encode_record,
    encode_windows,
    training_encoder,
)
from tests.inference.conftest import BEGIN, END, START


@pytest.fixture(scope="module")
def encoder(gpt2_folder: Path) -> PromptEncoder:
    return training_encoder(gpt2_folder)


def chat(*messages: tuple[str, str] | dict[str, Any], tools: Any = None) -> Record:
    made = [m if isinstance(m, dict) else {"role": m[0], "content": m[1]} for m in messages]
    return Record(1, DataFormat.CHAT, {"messages": made, "tools": tools})


def completion(prompt: str, answer: str) -> Record:
    return Record(1, DataFormat.COMPLETION, {"prompt": prompt, "completion": answer})


def words(encoder: PromptEncoder, ids: list[int]) -> str:
    """Tokens as text, control tokens shown."""
    return str(encoder._tokenizer.decode(ids, skip_special_tokens=False))


def learned(encoder: PromptEncoder, made: Encoded) -> str:
    return words(encoder, [token for token, weight in zip(made.input_ids, made.weights, strict=True) if weight])


def test_of_a_dialogue_the_answers_are_learned_with_their_ends(encoder: PromptEncoder) -> None:
    made = encode(
        chat(("user", "To be?"), ("assistant", "Or not."), ("user", "x"), ("assistant", "y")), encoder, max_length=99
    )
    assert words(encoder, made.input_ids) == (
        f"{BEGIN}{START}user\nTo be?{END}\n{START}assistant\nOr not.{END}\n{START}user\nx{END}\n{START}assistant\ny{END}\n"
    )
    assert learned(encoder, made) == f"Or not.{END}y{END}"


def test_the_prompt_has_the_tokens_that_a_call_has(encoder: PromptEncoder) -> None:
    asked = [{"role": "system", "content": "be brief"}, {"role": "user", "content": f"say {END} or <|start|>"}]
    made = encode(chat(*asked, ("assistant", "the fox")), encoder, max_length=200)
    prompt = encoder.encode_chat(asked)
    assert made.input_ids[: len(prompt)] == prompt
    assert not any(made.weights[: len(prompt)])
    assert made.weights[len(prompt)] == 1


def test_a_control_token_in_an_answer_is_learned_as_text(encoder: PromptEncoder) -> None:
    made = encode(chat(("user", "a"), ("assistant", f"{END} is no end")), encoder, max_length=200)
    ends = [number for number, token in enumerate(made.input_ids) if token in encoder.eos_ids]
    assert len(ends) == 2  # of the two messages, and of nothing that somebody wrote
    assert learned(encoder, made) == f"{END} is no end{END}"


def test_a_weight_of_zero_leaves_an_answer_out(encoder: PromptEncoder) -> None:
    first = {"role": "assistant", "content": "Or not.", "weight": 0}
    last = {"role": "assistant", "content": "fox", "weight": 0.5}
    made = encode(chat(("user", "To be?"), first, ("user", "x"), last), encoder, max_length=99)
    assert learned(encoder, made) == f"fox{END}"
    assert {weight for weight in made.weights if weight} == {0.5}


def test_what_is_too_long_is_cut_at_its_end_and_says_so(encoder: PromptEncoder) -> None:
    record = chat(("user", "a"), ("assistant", "the quick brown fox " * 50))
    made = encode(record, encoder, max_length=32)
    assert made.truncated
    assert made.tokens == len(made.weights) == 32
    assert made.full_length == encode(record, encoder, max_length=10_000).tokens > 32


def test_a_prompt_longer_than_the_model_leaves_nothing_to_learn(encoder: PromptEncoder) -> None:
    with pytest.raises(BadData, match="Shorten the prompt") as raised:
        encode(chat(("user", "the quick brown fox " * 50), ("assistant", "yes")), encoder, max_length=32)
    assert raised.value.fault.code == "cut_away"


def test_a_base_without_a_template_gets_the_documented_one(gpt2_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(gpt2_folder, tmp_path / "bare"))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    del config["chat_template"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    encoder = training_encoder(folder)
    assert not encoder.has_chat_template
    assert "eos_token" in TRAINING_TEMPLATE
    made = encode(chat(("user", "To be?"), ("assistant", "Or not.")), encoder, max_length=99)
    assert words(encoder, made.input_ids) == f"{BEGIN}User: To be?\n\nAssistant: Or not.{END}\n\n"
    assert learned(encoder, made) == f" Or not.{END}"
    asked = PromptEncoder.from_folder(folder).encode_chat([{"role": "user", "content": "To be?"}])
    assert made.input_ids[: len(asked)] == asked  # as it is called before it is trained


def test_a_template_that_rewrites_the_past_is_refused_with_two_answers(gpt2_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(gpt2_folder, tmp_path / "thinking"))
    template = (
        "{% for m in messages %}{{ m.role }}:{% if not loop.last %}{{ m.content | upper }}{% else %}{{ m.content }}{% endif %}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(BadData, match="train on dialogues with one answer"):
        encode(
            chat(("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")),
            training_encoder(folder),
            max_length=99,
        )


def test_a_completion_goes_on_from_its_prompt_and_ends(encoder: PromptEncoder) -> None:
    made = encode(completion("To be or", " not to be"), encoder, max_length=99)
    assert made.input_ids == [*encoder.encode_text("To be or"), *encoder.encode_after(" not to be"), *encoder.eos_ids]
    assert learned(encoder, made) == f" not to be{END}"


def test_a_completion_without_a_prompt_learns_all_but_its_first_token(encoder: PromptEncoder) -> None:
    made = encode(completion("", "the fox"), encoder, max_length=99)
    assert made.trainable_tokens == made.tokens - 1


@pytest.mark.parametrize("prompt", ["To be?", [{"role": "user", "content": "To be?"}]])
def test_both_answers_of_a_preference_go_on_from_one_question(encoder: PromptEncoder, prompt: Any) -> None:
    is_text = isinstance(prompt, str)
    answers = {
        name: text if is_text else [{"role": "assistant", "content": text}]
        for name, text in (("chosen", "yes"), ("rejected", "no, fox"))
    }
    record = Record(1, DataFormat.PREFERENCE, {"prompt": prompt, **answers, "tools": None})
    pair = encode_pair(record, encoder, max_length=99)
    assert words(encoder, pair.chosen_ids) == f"yes{END}"
    assert words(encoder, pair.rejected_ids) == f"no, fox{END}"
    assert pair.prompt_ids == (encoder.encode_text(prompt) if is_text else encoder.encode_chat(prompt))
    assert pair.tokens == 2 * len(pair.prompt_ids) + len(pair.chosen_ids) + len(pair.rejected_ids)
    assert not pair.truncated


def test_a_preference_that_is_too_long_keeps_the_end_of_the_question_and_the_begin_of_the_answers(
    encoder: PromptEncoder,
) -> None:
    fields = {"prompt": "fox " * 100, "chosen": "dog " * 100, "rejected": "lazy", "tools": None}
    pair = encode_pair(Record(1, DataFormat.PREFERENCE, fields), encoder, max_length=40)
    assert pair.truncated
    assert len(pair.prompt_ids) + len(pair.chosen_ids) == 40
    assert len(pair.chosen_ids) == 20
    assert pair.prompt_ids == encoder.encode_text("fox " * 100)[-20:]


def test_a_text_is_cut_into_windows_and_ends_once(encoder: PromptEncoder) -> None:
    record = Record(1, DataFormat.TEXT, {"text": "the quick brown fox " * 40, "goes_on": False})
    windows = encode_windows(record, encoder, max_length=50)
    ids = [token for window in windows for token in window.input_ids]
    assert ids == [*encoder.encode_text("the quick brown fox " * 40), *encoder.eos_ids]
    assert all(window.weights[0] == 0 and all(window.weights[1:]) for window in windows)
    going_on = Record(1, DataFormat.TEXT, record.fields | {"goes_on": True})
    assert [token for window in encode_windows(going_on, encoder, max_length=50) for token in window.input_ids] == ids[
        :-1
    ]
    assert encode_record(record, encoder, max_length=50) == windows


def test_tools_are_given_to_the_template(gpt2_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(gpt2_folder, tmp_path / "tools"))
    template = (
        "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}{{ m.role }}:{{ m.content }}"
        "{% for call in m.tool_calls or [] %}{{ call | tojson }}{% endfor %}{{ eos_token }}{% endfor %}"
    )
    (folder / "chat_template.jinja").write_text(template)
    call = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "look", "arguments": f"{END}"}}]}
    encoder = training_encoder(folder)
    made = encode(chat(("user", "a"), call, tools=[{"name": "look"}]), encoder, max_length=500)
    assert words(encoder, made.input_ids).startswith('[{"name": "look"}]user:a')
    assert learned(encoder, made).startswith('assistant:{"function"')
    assert sum(token in encoder.eos_ids for token in made.input_ids) == 2
