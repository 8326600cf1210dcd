"""Messages and text to tokens, as the release's own tokenizer and chat template say. Needs tokenizers and Jinja, not torch.

What a user writes never becomes a control token: not ``<|im_start|>`` in a message, nor half of it in one message and half in the
next. Only where such a string occurs is the chat rendered with markers around what users wrote, and tokenized piece by piece.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final, NamedTuple

from tokenizers import Tokenizer

from inference.chat_template import ChatTemplate, TemplateFailed
from inference.errors import PromptError
from inference.tokenizer_files import read_eos_ids, read_json, special_tokens

MAX_TEXT_CHARS: Final = 4 * 1024 * 1024
# For a release without a chat template: a dialogue in plain text, which any GPT can go on with.
DEFAULT_CHAT_TEMPLATE: Final = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] | capitalize }}: {{ message['content'] | trim }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
_PRIVATE_USE: Final = range(0xE000, 0xF900)


class _Marked(NamedTuple):
    """Messages and tools, with ``begin`` and ``end`` (one character each; "": no markers) around what is no control token."""

    chat: list[dict[str, Any]]
    tools: list[dict[str, Any]] | None
    begin: str
    end: str


class PromptEncoder:
    """Safe to share between threads."""

    def __init__(
        self,
        *,
        tokenizer: dict[str, Any],
        chat_template: str | None,
        special: dict[str, str],
        eos_ids: frozenset[int],
        context_length: int,
        vocab_size: int,
        default_template: str = DEFAULT_CHAT_TEMPLATE,
    ) -> None:
        """``tokenizer``: the parsed tokenizer.json. ``default_template``: for a release without one.

        Raises :class:`PromptError` where the tokenizer or the template cannot be used.
        """
        self._tokenizer = _build(tokenizer)
        self._plain = _build(tokenizer | {"added_tokens": []})  # knows no control tokens: reads every text as text
        self.has_chat_template = chat_template is not None
        try:
            self._template = ChatTemplate(default_template if chat_template is None else chat_template)
        except TemplateFailed as error:
            raise PromptError(str(error), param="chat_template") from error
        self._special = special
        self._control = self._control_tokens()
        longest_first = sorted(self._control, key=len, reverse=True)
        self._control_re = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._newline = self._tokenizer.encode("\n", add_special_tokens=False).ids
        self.eos_ids = eos_ids
        self.context_length = context_length
        self.vocab_size = vocab_size

    @classmethod
    def from_folder(
        cls, folder: Path, *, config: dict[str, Any] | None = None, default_template: str = DEFAULT_CHAT_TEMPLATE
    ) -> PromptEncoder:
        """Reads the small files of a release; no weights. ``config``: in the place of config.json, which an adapter lacks.

        Raises :class:`PromptError` and :class:`OSError`.
        """
        try:
            config = read_json(folder / "config.json") if config is None else config
            return cls(
                tokenizer=json.loads((folder / "tokenizer.json").read_bytes()),
                chat_template=_read_template(folder),
                special=special_tokens(folder),
                eos_ids=read_eos_ids(folder),
                context_length=config.get("max_position_embeddings") or config.get("n_positions") or 1024,
                vocab_size=config["vocab_size"],
                default_template=default_template,
            )
        except (ValueError, KeyError, TypeError) as error:
            raise PromptError(f"the release's files cannot be read: {error}", param="model") from error

    def encode_chat(self, messages: list[dict[str, Any]]) -> list[int]:
        """The prompt that asks for the assistant's next message. A content of several texts is joined by newlines.

        Raises :class:`PromptError` with the message and field at fault.
        """
        marked = self._marked(messages, None)
        return self._encode_rendered(self._render(marked), marked, is_first=True)

    def encode_dialogue(
        self, messages: list[dict[str, Any]], *, tools: list[dict[str, Any]] | None = None
    ) -> list[tuple[list[int], int | None]]:
        """A dialogue that is over, in spans of tokens: each with the index of the assistant's message that it is, or None.

        What stands before an answer is the prompt that asks for it, as ``encode_chat`` makes it; the answer is the rest of what the
        template writes for the message, its end included. Raises :class:`PromptError`, also where the template writes earlier
        messages differently once there are later ones: then nobody can say which tokens are whose.
        """
        marked = self._marked(messages, tools)
        whole = self._render(marked, count=len(messages), asks=False)
        spans: list[tuple[list[int], int | None]] = []
        at = 0
        for number, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            after = self._render(marked, count=number + 1, asks=False)
            befores = (self._render(marked, count=number, asks=asks) for asks in (True, False) if number)
            before = next((text for text in befores if len(text) >= at and after.startswith(text)), whole[:at])
            if not whole.startswith(after):
                raise PromptError(
                    "the chat template writes earlier messages differently once there are later ones: train on dialogues "
                    "with one answer",
                    param=f"messages[{number}]",
                )
            for text, index in ((whole[at : len(before)], None), (whole[len(before) : len(after)], number)):
                if text:
                    spans.append((self._encode_rendered(text, marked, is_first=not spans), index))
            at = len(after)
        if whole[at:]:
            spans.append((self._encode_rendered(whole[at:], marked, is_first=not spans), None))
        return spans

    def encode_text(self, text: str, *, control_tokens: bool = False) -> list[int]:
        """The prompt of a plain completion, with the tokens that the tokenizer puts before every text (Llama's ``<s>``).

        ``control_tokens``: read the strings of control tokens as such. An empty text becomes the token that begins texts.
        """
        if len(text) > MAX_TEXT_CHARS:
            raise PromptError(f"the prompt has more than {MAX_TEXT_CHARS} characters", param="prompt")
        ids = self._encode(self._tokenizer if control_tokens else self._plain, text, add_special_tokens=True)
        if not ids:
            first = self._tokenizer.token_to_id(self._special.get("bos_token") or self._special.get("eos_token") or "")
            ids = [] if first is None else [first]
        if not ids:
            raise PromptError("the prompt is empty", param="prompt")
        return ids

    def encode_after(self, text: str) -> list[int]:
        """A text that goes on from another one: without the tokens that begin one. Raises :class:`PromptError`."""
        if len(text) > MAX_TEXT_CHARS:
            raise PromptError(f"the text has more than {MAX_TEXT_CHARS} characters", param="text")
        return self._encode_piece(text, as_text=True)

    @property
    def begin_ids(self) -> list[int]:
        """The tokens that the tokenizer puts before every text: Llama's ``<s>``, GPT-2's none."""
        whole = self._encode(self._plain, "a", add_special_tokens=True)
        text = self._encode(self._plain, "a")
        return whole[: next((n for n in range(len(whole)) if whole[n : n + len(text)] == text), 0)]

    def decode(self, ids: list[int]) -> str:
        """The text of tokens, control tokens left out."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def _control_tokens(self) -> dict[str, int]:
        """Strings that steer the model: what the tokenizer calls special, and added tokens that the template writes."""
        added = self._tokenizer.get_added_tokens_decoder()
        named = set(self._special.values())
        return {
            token.content: id_
            for id_, token in added.items()
            if token.content.strip()
            and (token.special or token.content in named or token.content in self._template.literals)
        }

    def _marked(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None) -> _Marked:
        """Checks, and puts markers around control strings, and at the ends of every text so that no two can join.

        Where no such string occurs there are no markers. Raises :class:`PromptError`.
        """
        chat = _checked(messages)
        written = "".join(_texts([chat, tools]))
        if len(written) > MAX_TEXT_CHARS:
            raise PromptError(f"the messages have more than {MAX_TEXT_CHARS} characters", param="messages")
        if not self._control_re.search(written):
            return _Marked(chat, tools, "", "")
        free = (chr(c) for c in _PRIVATE_USE if chr(c) not in written and chr(c) not in self._template.source)
        begin, end = next(free), next(free)
        pattern = self._control_re

        def mark(value: Any) -> Any:
            if isinstance(value, str):
                inner = pattern.sub(lambda hit: f"{begin}{hit[0]}{end}", value.strip())
                # Spaces stay outside, where a template's `trim` finds them.
                return value.replace(value.strip(), f"{end}{inner}{end}", 1) if inner else value
            if isinstance(value, dict):
                return {key: mark(item) for key, item in value.items()}
            return [mark(item) for item in value] if isinstance(value, list) else value

        marked = [{key: item if key == "role" else mark(item) for key, item in message.items()} for message in chat]
        return _Marked(marked, mark(tools), begin, end)

    def _render(self, marked: _Marked, *, count: int | None = None, asks: bool = True) -> str:
        """The first ``count`` messages. ``asks``: and what comes before the assistant's next one."""
        try:
            return self._template.render(
                **self._special, messages=marked.chat[:count], tools=marked.tools, documents=None, add_generation_prompt=asks
            )  # fmt: skip
        except TemplateFailed as error:
            raise PromptError(str(error), param="messages") from error

    def _encode(self, tokenizer: Tokenizer, text: str, *, add_special_tokens: bool = False) -> list[int]:
        try:
            return list(tokenizer.encode(text, add_special_tokens=add_special_tokens).ids)
        except BaseException as error:
            raise _tokenizer_failed(error) from error

    def _encode_rendered(self, text: str, marked: _Marked, *, is_first: bool) -> list[int]:
        """``is_first``: the text begins what the model reads."""
        pieces = [text]
        if marked.begin:
            begin, end = marked.begin, marked.end
            pieces = re.split(f"{begin}({self._control_re.pattern}){end}|[{begin}{end}]", text)
        ids: list[int] = []
        for number, piece in enumerate(pieces):
            if number == 0 and is_first:
                ids += self._encode(self._tokenizer, piece)
            elif piece:
                ids += self._encode_piece(piece, as_text=number % 2 == 1)
        return ids

    def _encode_piece(self, piece: str, *, as_text: bool) -> list[int]:
        """A piece from the middle: encoded after a newline, which is taken off again, lest a tokenizer adds its first space."""
        tokenizer = self._plain if as_text else self._tokenizer
        ids = self._encode(tokenizer, "\n" + piece)
        ids = (
            ids[len(self._newline) :] if ids[: len(self._newline)] == self._newline else self._encode(tokenizer, piece)
        )
        if as_text and set(ids) & set(self._control.values()):
            raise PromptError(f"{piece!r} cannot be written as text with this model's tokenizer", param="messages")
        return ids


def _build(tokenizer: dict[str, Any]) -> Tokenizer:
    try:
        made = Tokenizer.from_str(json.dumps(tokenizer))
        made.no_truncation()
        made.no_padding()
        return made
    except BaseException as error:
        raise _tokenizer_failed(error) from error


def _tokenizer_failed(error: BaseException) -> BaseException:
    """A panic of the Rust side is no ``Exception``; what stops the process (KeyboardInterrupt...) stays what it is."""
    if isinstance(error, Exception) or type(error).__name__ == "PanicException":
        return PromptError(f"the release's tokenizer failed: {error}", param="model")
    return error


def _read_template(folder: Path) -> str | None:
    """chat_template.jinja, else the tokenizer config's; of several named ones the default."""
    file = folder / "chat_template.jinja"
    if file.exists():
        return file.read_text(encoding="utf-8")
    template = read_json(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(template, list):
        template = {entry["name"]: entry["template"] for entry in template}.get("default")
    return template if isinstance(template, str) else None


def _checked(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not isinstance(messages, list) or not messages:
        raise PromptError("messages must be a list of one message or more", param="messages")
    chat = []
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise PromptError("a message needs a role", param=f"messages[{number}].role")
        chat.append(message | {"content": _joined(message.get("content"), f"messages[{number}].content")})
    return chat


def _joined(content: Any, param: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list) or not all(
        isinstance(p, dict) and isinstance(p.get("text"), str) for p in content
    ):
        raise PromptError("a content is a text, or a list of parts of type text", param=param)
    return "\n".join(part["text"] for part in content)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in items for text in _texts(item)]
