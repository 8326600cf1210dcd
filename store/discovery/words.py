"""Text to the words that are indexed and asked for: the same cut on both sides, for every script.

PostgreSQL's parser reads ``gpt-2`` as a word and a negative number and does not segment Chinese, Japanese or Korean at all, so words are cut
here, and PostgreSQL is asked for their English stems only.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable

from store.ledger.sql import execute, text_array

LETTERS_OR_DIGITS = re.compile(r"[^\W\d_]+|\d+")
LETTERS_AND_DIGITS = re.compile(r"[^\W\d_]+\d+|\d+[^\W\d_]+")
WORD_CHARS = 60  # what is longer is cut: nobody types it, and it must fit discovery_word
# Kana, ideographs with their extensions and compatibility forms, Hangul.
CJK_RANGES = (
    (0x3040, 0x30FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7AF),
    (0xF900, 0xFAFF),
    (0x20000, 0x323AF),
)


def is_cjk(char: str) -> bool:
    """Whether the script is written without spaces between words (or, as Korean, with endings that a search should ignore)."""
    code = ord(char)
    return code >= 0x3040 and any(first <= code <= last for first, last in CJK_RANGES)


def cut(text: str) -> list[str]:
    """Words as they are written, lower case, without accents: letters with their marks, and digits. A run of CJK is one word."""
    plain = _plain(text)
    return ["".join(run)[:WORD_CHARS] for kind, run in itertools.groupby(plain, _kind) if kind]


def indexed(text: str) -> list[str]:
    """The words to index, in order: a run of CJK as its characters and its pairs of neighbours; ``GPT-2`` and ``gpt2`` as gpt, 2, gpt2."""
    words = cut(text)
    found: list[str] = []
    for word, following in itertools.pairwise([*words, ""]):
        found += _parts(word, with_single=True)
        if LETTERS_AND_DIGITS.fullmatch(word):
            found += LETTERS_OR_DIGITS.findall(word)
        elif following[:1].isdigit() and word.isalpha() and not is_cjk(word[0]):
            found.append(f"{word}{following}"[:WORD_CHARS])
    return found


def asked(text: str) -> list[str]:
    """The words of a query, each once: all must be found. A run of CJK as its pairs of neighbours, or its only character."""
    return list(dict.fromkeys(part for word in cut(text) for part in _parts(word, with_single=False)))


def stems(words: Iterable[str]) -> dict[str, str]:
    """Word to English stem, for words of a to z; the stem of a stop word ("the") is empty. One query."""
    latin = sorted({word for word in words if word.isascii() and word.isalpha()})
    if not latin:
        return {}
    rows = execute("SELECT w, ts_lexize('english_stem', w) FROM unnest(%s::text[]) AS w", text_array(latin))
    return {word: found[0] if found else "" for word, found in rows}


def _plain(text: str) -> str:
    """Compatibility forms unified, accents of Latin, Greek and Cyrillic removed, lower case."""
    unified = unicodedata.normalize("NFKC", text).casefold()
    bare = "".join(char for char in unicodedata.normalize("NFD", unified) if not "\u0300" <= char <= "\u036f")
    return unicodedata.normalize("NFC", bare)


def _kind(char: str) -> int:
    """0 between words, 1 in a word, 2 in a run of CJK."""
    if is_cjk(char):
        return 2
    return int(char.isalnum() or unicodedata.category(char)[0] == "M")


def _parts(word: str, *, with_single: bool) -> list[str]:
    if not is_cjk(word[0]):
        return [word]
    pairs = [word[at : at + 2] for at in range(len(word) - 1)]
    return [*word, *pairs] if with_single else pairs or [word]
