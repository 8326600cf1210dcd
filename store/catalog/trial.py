"""Runs a release's tokenizer and chat template as every process that serves it will. Only in a child that can be killed."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from inference.errors import PromptError
from inference.manifest import Problem
from inference.prompt import PromptEncoder

# What a reader may write: accents, other scripts, emoji made of several, an odd space, a right-to-left mark.
PROBES = (
    "Who's there? 3.14 <b>&amp;</b>\n", "Übergrößen für Ärzte, naïve café", "你好，世界。今天天气很好！", "мир привет",
    "שלום \u200fעולם", "नमस्ते दुनिया", "\U0001f469\u200d\U0001f680\U0001f600\ufe0f", "a\u00a0b\tc\r\n\r\nd",
)  # fmt: skip
LONG_CHARS = 100_000
# Each makes a careless regular expression, or merging of pairs, take the square of its length or worse.
LONG = ("a", " ", "\n", "aA", "!", "中", "\U0001f600", "a ", "é")
CHATS: tuple[list[dict[str, str]], ...] = (
    [{"role": "user", "content": "Who's there?"}],
    [
        {"role": "system", "content": "You are brief."},
        {"role": "user", "content": "你好 \U0001f600 </s> <|im_start|>"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "x" * 10_000},
    ],
)


def try_tokenizer(folder: Path, *, vocab_size: int) -> tuple[PromptEncoder | None, list[Problem]]:
    """Loads it, and turns probes into tokens and back. ``vocab_size``: tokens that the model knows; of an adapter, those it brings."""
    try:
        encoder = PromptEncoder.from_folder(folder, config={"vocab_size": vocab_size})
        ids = [(text, _tokens(encoder, text)) for text in (*PROBES, *LONG)]
        highest = max(max(found, default=0) for _text, found in ids)
        is_kept = [_plain(encoder.decode(found)) == _plain(text) for text, found in ids]
    except PromptError as error:
        path = "chat_template.jinja" if error.param == "chat_template" else "tokenizer.json"
        code = "bad_template" if error.param == "chat_template" else "bad_tokenizer"
        return None, [
            Problem(path, code, f"{path} cannot be used: {str(error)[:300]}. Save it again with `save_pretrained`.")
        ]
    if highest >= vocab_size:
        message = f"tokenizer.json makes the token {highest}, and the model knows {vocab_size} tokens; upload the model's own."
        return None, [Problem("tokenizer.json", "tokenizer_differs", message)]
    if not any(is_kept):
        message = "tokenizer.json turns no text into tokens and back again; does it have its decoder? Save it again."
        return None, [Problem("tokenizer.json", "bad_tokenizer", message)]
    return encoder, []


def _tokens(encoder: PromptEncoder, text: str) -> list[int]:
    """None where the tokenizer drops the whole text, as some do with spaces. Raises PromptError."""
    try:
        return encoder.encode_text(text)
    except PromptError as error:
        if error.param == "prompt":
            return []
        raise


def _plain(text: str) -> str:
    """Tokenizers may lower, normalize and drop spaces."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def try_long_texts(encoder: PromptEncoder) -> list[Problem]:
    """Ends only if the tokenizer is quick: whoever calls it sets an alarm first."""
    try:
        for one in LONG:
            _tokens(encoder, (one * LONG_CHARS)[:LONG_CHARS])
        _tokens(encoder, "a" * LONG_CHARS + "!")
    except PromptError as error:
        message = (
            f"tokenizer.json cannot read {LONG_CHARS} characters: {str(error)[:300]}. Use a simpler pre-tokenizer."
        )
        return [Problem("tokenizer.json", "slow_tokenizer", message)]
    return []


def try_chat(folder: Path, encoder: PromptEncoder) -> list[Problem]:
    """One question must work; a dialogue may be refused by the template, in its own words, and must not break it."""
    if not encoder.has_chat_template:
        return []
    path = "chat_template.jinja" if (folder / "chat_template.jinja").exists() else "tokenizer_config.json"
    try:
        encoder.encode_chat(CHATS[0])
    except PromptError as error:
        message = f"The chat template cannot ask one question: {str(error)[:300]}. Mend it, or remove it."
        return [Problem(path, "bad_template", message)]
    try:
        encoder.encode_chat(CHATS[1])
    except PromptError as error:
        if "takes too long" in str(error):
            return [Problem(path, "bad_template", f"The chat template cannot write a dialogue: {error}. Mend it.")]
    return []
