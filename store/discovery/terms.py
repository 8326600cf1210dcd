"""The words of a query, with what each may stand for: its stem, the words that it begins, the words that it may have been meant to be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from store.discovery.models import Word
from store.discovery.words import WORD_CHARS, asked, is_cjk, stems
from store.ledger.sql import execute, text_array

MAX_TERMS = 12  # further words are not looked at
PREFIXED = 8  # words that an unfinished one is completed to
MIN_PREFIX = 2  # letters
MIN_TYPED = 4  # letters of a word that is taken for a mistyped one
LONG = 6  # letters from which two mistakes are forgiven
CANDIDATES = 30
CORRECTIONS = 4


@dataclass(frozen=True, slots=True)
class Term:
    """A word as it was typed and the lexemes, any of which is a match. ``corrected`` are those that were guessed."""

    word: str
    lexemes: tuple[str, ...]
    corrected: tuple[str, ...] = ()


def terms_of(text: str) -> list[Term]:
    """The terms of a query, all of which must match. The last word may be unfinished. English stop words count only among themselves."""
    words = asked(text)[:MAX_TERMS]
    if not words:
        return []
    stem_of = stems(words)
    telling = [word for word in words if stem_of.get(word) != ""] or words
    completed = _completions(words[-1]) if words[-1] in telling else []
    return [
        Term(word, _distinct(word, stem_of.get(word, ""), *(completed if word == words[-1] else ())))
        for word in telling
    ]


def corrected(terms: Sequence[Term]) -> list[Term] | None:
    """The same terms, where those that no heading knows may also be a word that is spelled alike. None: there is nothing to guess."""
    known = set(
        Word.objects.filter(word__in=[one for term in terms for one in term.lexemes]).values_list("word", flat=True)
    )
    found = [term if known & set(term.lexemes) else _guessed(term) for term in terms]
    return found if found != list(terms) else None


def near_forms(word: str) -> list[str]:
    """The word and what is left of it without one of its letters. Words one mistake apart share such a form, whatever the mistake."""
    return list(dict.fromkeys([word, *(word[:at] + word[at + 1 :] for at in range(len(word)))]))


def distance(one: str, other: str) -> int:
    """Letters inserted, left out, replaced, or swapped with their neighbour between two words (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        before, above, row = row, before, [i]
        for j, b in enumerate(other, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and b == one[i - 2]:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
    return row[-1]


def _completions(word: str) -> list[str]:
    """The shortest words of headings that begin like this one."""
    if len(word) < MIN_PREFIX or is_cjk(word[0]):
        return []
    rows = execute(
        "SELECT word FROM discovery_word WHERE word LIKE %s || '%%' AND word <> %s ORDER BY length(word), word LIMIT %s",
        word, word, PREFIXED,
    )  # fmt: skip
    return [row[0] for row in rows]


def _guessed(term: Term) -> Term:
    if not MIN_TYPED <= len(term.word) < WORD_CHARS or is_cjk(term.word[0]):
        return term
    mistakes = 2 if len(term.word) >= LONG else 1
    near = sorted((distance(term.word, word), word) for word in _alike(term.word))
    guesses = [word for far, word in near if far <= mistakes and far == near[0][0]][:CORRECTIONS]
    return Term(term.word, _distinct(*term.lexemes, *guesses), tuple(guesses)) if guesses else term


def _alike(word: str) -> Iterable[str]:
    """Words of headings that are one mistake away; if there are none, those of a long word that share most of its trigrams."""
    close = execute("SELECT word FROM discovery_word WHERE near && %s::text[]", text_array(near_forms(word)))
    if not close and len(word) >= LONG:
        close = execute(
            "SELECT word FROM discovery_word WHERE word %% %s ORDER BY similarity(word, %s) DESC, word LIMIT %s",
            word, word, CANDIDATES,
        )  # fmt: skip
    return [row[0] for row in close]


def _distinct(*lexemes: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(lexeme for lexeme in lexemes if lexeme))
