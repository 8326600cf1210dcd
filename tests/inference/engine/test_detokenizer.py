"""Text of tokens: whole characters, no stop string, and the same however the run is cut."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models

from inference.engine.detokenizer import Detokenizer, TokenBytes
from tests.inference.conftest import VOCAB, train_tokenizer

TOKENIZER = train_tokenizer()


@pytest.fixture(scope="module")
def token_bytes(gpt2_folder: Path) -> TokenBytes:
    return TokenBytes.from_file(gpt2_folder / "tokenizer.json")


def texts_of(token_bytes: TokenBytes, ids: list[int], stop: tuple[str, ...] = ()) -> tuple[list[str], str | None]:
    detokenizer = Detokenizer(token_bytes, stop)
    pushed = [detokenizer.push(id_) for id_ in ids]
    return [*pushed, detokenizer.flush()], detokenizer.stop_string


@given(st.text(max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_comes_back_whole(token_bytes: TokenBytes, text: str) -> None:
    ids = TOKENIZER.encode(text.encode(errors="ignore").decode(), add_special_tokens=False).ids
    texts, _ = texts_of(token_bytes, ids)
    assert "".join(texts) == TOKENIZER.decode(ids, skip_special_tokens=True)


def test_an_emoji_split_into_bytes_is_shown_with_its_last_byte(token_bytes: TokenBytes) -> None:
    alphabet = {piece: id_ for id_, piece in enumerate(token_bytes.pieces)}
    ids = [alphabet[bytes([byte])] for byte in "🚀".encode()]
    assert texts_of(token_bytes, ids)[0] == ["", "", "", "🚀", ""]


@given(st.lists(st.integers(3, VOCAB - 1), max_size=30))
def test_any_tokens_give_what_decoding_them_at_once_gives(token_bytes: TokenBytes, ids: list[int]) -> None:
    shown = "".join(texts_of(token_bytes, ids)[0])
    decoded = TOKENIZER.decode(ids)
    assert decoded.startswith(shown)
    assert decoded[len(shown) :] in ("", "\ufffd")  # half a character at the very end is not shown


@given(
    st.lists(st.integers(3, VOCAB - 1), max_size=25),
    st.lists(st.text("abcde tohe", min_size=1, max_size=3), min_size=1, max_size=3),
)
def test_text_ends_before_the_first_stop_string_and_nothing_of_it_leaks(
    token_bytes: TokenBytes, ids: list[int], stop: list[str]
) -> None:
    whole = "".join(texts_of(token_bytes, ids)[0])
    texts, found = texts_of(token_bytes, ids, tuple(stop))
    starts = [whole.find(s) for s in stop if s in whole]
    assert (found is not None) == bool(starts)
    shown = "".join(texts)
    assert whole.startswith(shown)
    assert not any(s in shown for s in stop)
    if not starts:
        assert shown == whole


def test_special_tokens_and_ids_beyond_the_tokenizer_show_nothing(token_bytes: TokenBytes) -> None:
    assert texts_of(token_bytes, [0, 1, 2, 100_000])[0] == ["", "", "", "", ""]


def sentencepiece(folder: Path) -> TokenBytes:
    vocab = {"<unk>": 0, "<0xF0>": 1, "<0x9F>": 2, "<0x9A>": 3, "<0x80>": 4, "▁Hello": 5, "▁you": 6, "r": 7}
    tokenizer = Tokenizer(models.BPE(vocab, [], unk_token="<unk>", byte_fallback=True))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(steps)
    tokenizer.save(str(folder / "tokenizer.json"))
    return TokenBytes.from_file(folder / "tokenizer.json")


def test_a_sentencepiece_vocabulary_shows_spaces_and_bytes(tmp_path: Path) -> None:
    pieces = sentencepiece(tmp_path)
    texts, _ = texts_of(pieces, [5, 6, 7, 1, 2, 3, 4])
    assert texts == ["Hello", " you", "r", "", "", "", "🚀", ""]
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert "".join(texts) == tokenizer.decode([5, 6, 7, 1, 2, 3, 4])


def test_an_unknown_decoder_falls_back_to_one_token_at_a_time(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert json.loads((tmp_path / "tokenizer.json").read_text())["decoder"] is None
    assert texts_of(TokenBytes.from_file(tmp_path / "tokenizer.json"), [1, 0])[0] == ["b", "a", ""]
