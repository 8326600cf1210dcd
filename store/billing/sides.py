"""Stripe's objects and ours held against each other, both ways: what one side has and the other has not, or has otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from store.billing.checkout import NANO_PER_CENT
from store.ledger.audit import Mismatch
from store.ledger.dollars import dollars

CHUNK: Final = 1000  # rows asked for at once
NOTHING: Final = "nothing"


@dataclass(frozen=True, slots=True)
class Said:
    """What one side says of an object: words that are equal where both say the same."""

    id: str
    words: str


@dataclass(frozen=True, slots=True)
class Law:
    """What is compared, what we have of ids at Stripe, what Stripe says of one that was in no list, and what a person does about a mismatch."""

    name: str
    remedy: str
    ours_of: Callable[[Sequence[str]], Iterable[Said]]
    ask: Callable[[str], str]

    def compare(self, theirs: Iterable[Said], recent: Iterable[Said]) -> Iterator[Mismatch]:
        """``theirs``: all of some days, as Stripe lists them; ``recent``: what we have of those days. Raises stripe.StripeError."""
        seen = set()
        rest = iter(theirs)
        while chunk := list(islice(rest, CHUNK)):
            seen |= {said.id for said in chunk}
            ours = {said.id: said.words for said in self.ours_of([said.id for said in chunk])}
            yield from (
                self._mismatch(said.id, said.words, ours.get(said.id, NOTHING))
                for said in chunk
                if said.words != ours.get(said.id, NOTHING)
            )
        for mine in recent:
            if mine.id not in seen and (words := self.ask(mine.id)) != mine.words:
                yield self._mismatch(mine.id, words, mine.words)

    def _mismatch(self, id: str, expected: str, found: str) -> Mismatch:
        return Mismatch(check=self.name, row=id, expected=expected, found=found, remedy=self.remedy)


def words(state: str, cents: int) -> str:
    """A state and an amount in dollars."""
    return f"{state} {dollars(cents * NANO_PER_CENT)}"
