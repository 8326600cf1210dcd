"""From output tokens to the text that may be shown, one token at a time.

The text shown after n tokens is a function of those n tokens alone: half of a UTF-8 sequence is held back until the rest arrives,
and so is what may be the beginning of a stop string. So a run that goes on elsewhere, after the tokens already heard are replayed,
goes on with exactly the text that would have been.
"""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer

SPACE_MARK: Final = "\u2581"  # SentencePiece writes a space so


def _byte_of_char() -> dict[str, int]:
    """GPT-2's alphabet: every byte as a printable character. From OpenAI's ``bytes_to_unicode``."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(256 + n): b for n, b in enumerate(others)}


class TokenBytes:
    """The bytes that each token stands for. Special tokens stand for none."""

    def __init__(self, pieces: list[bytes], *, strip_first_space: bool) -> None:
        self.pieces = pieces
        self.strip_first_space = strip_first_space

    @classmethod
    def from_file(cls, path: Path) -> TokenBytes:
        """Reads a ``tokenizer.json``. Raises :class:`OSError`, and :class:`ValueError` where it is malformed."""
        data: dict[str, Any] = json.loads(path.read_bytes())
        tokenizer = Tokenizer.from_str(json.dumps(data))
        decoder = json.dumps(data.get("decoder"))
        pieces = [b""] * (max(tokenizer.get_vocab().values()) + 1)
        for token, token_id in tokenizer.get_vocab(with_added_tokens=False).items():
            pieces[token_id] = _piece(token, token_id, tokenizer, decoder)
        for token_id, added in tokenizer.get_added_tokens_decoder().items():
            pieces[token_id] = b"" if added.special else added.content.encode()
        return cls(pieces, strip_first_space='"Strip"' in decoder or '"Metaspace"' in decoder)

    def __getitem__(self, token_id: int) -> bytes:
        """Ids that the model has and the tokenizer has not (a padded vocabulary) stand for nothing."""
        return self.pieces[token_id] if token_id < len(self.pieces) else b""

    def text(self, token_id: int) -> str:
        """The token by itself, for logprobs; bytes that are not UTF-8 show as U+FFFD."""
        return self[token_id].decode(errors="replace")


def _piece(token: str, token_id: int, tokenizer: Tokenizer, decoder: str) -> bytes:
    if '"ByteLevel"' in decoder:
        if all(char in BYTE_OF_CHAR for char in token):
            return bytes(BYTE_OF_CHAR[char] for char in token)
        return token.encode()
    if '"ByteFallback"' in decoder and len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes([int(token[3:5], 16)])
    if '"ByteFallback"' in decoder or '"Metaspace"' in decoder or SPACE_MARK in decoder:
        return token.replace(SPACE_MARK, " ").encode()
    return str(tokenizer.decode([token_id], skip_special_tokens=False)).encode()


BYTE_OF_CHAR: Final = _byte_of_char()


class Detokenizer:
    """The text of one run. ``push`` a token, get what may be shown now; then look at ``stop_string``."""

    def __init__(self, token_bytes: TokenBytes, stop: tuple[str, ...] = ()) -> None:
        self.token_bytes = token_bytes
        self._stop = stop
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""
        self._at_start = token_bytes.strip_first_space
        self.stop_string: str | None = None

    def push(self, token_id: int) -> str:
        """Returns the text that this token lets go. After a stop string is complete, nothing more is let go."""
        piece = self.token_bytes[token_id]
        if self._at_start and piece:
            piece, self._at_start = piece.removeprefix(b" "), False
        text = self._utf8.decode(piece)
        if not self._stop:
            return text
        if not text or self.stop_string is not None:
            return ""
        self._held += text
        return self._release()

    def flush(self) -> str:
        """The end of the run: returns what was held back as the beginning of a stop string. Half characters are dropped."""
        text, self._held = self._held, ""
        return text

    def _release(self) -> str:
        """Cuts at the first stop string, else lets go of all but the longest tail that may become one."""
        found = [(at, stop) for stop in self._stop if (at := self._held.find(stop)) >= 0]
        if found:
            at, self.stop_string = min(found, key=lambda hit: hit[0])
            text, self._held = self._held[:at], ""
            return text
        keep = max(_overlap(self._held, stop) for stop in self._stop)
        text, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return text


def _overlap(text: str, stop: str) -> int:
    """The length of the longest tail of ``text`` that is a beginning of ``stop``, and not all of it."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
