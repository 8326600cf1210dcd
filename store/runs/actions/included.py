"""Tokens that the month of a subscription includes: taken before anything is held, given back where a run did not need them.

As free allowances are, they are read and counted under the lock of the organization's credit, so that none is taken twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from store.ledger.pricing import Covered
from store.ledger.sql import array, execute

# What an organization ``w`` has left of a listing ``l``, as a row or none, to be joined laterally: ``tokens`` null where it is by class.
LEFT_OF_PERIOD = """
SELECT p.id, g.included_tokens - p.used_input - p.used_output AS tokens, g.included_input - p.used_input AS input,
       g.included_output - p.used_output AS output
FROM subscriptions_subscriptionperiod p JOIN subscriptions_subscriptionplan g ON g.id = p.plan_id
WHERE p.organization_id = w.organization_id AND p.listing_id = l.id
  AND p.starts_at <= statement_timestamp() AND p.ends_at > statement_timestamp()
ORDER BY p.starts_at DESC, p.id DESC LIMIT 1
"""


@dataclass(slots=True)
class IncludedCap:
    """What is left of a month. ``tokens`` of any class, or None where ``input`` and ``output`` have each their own."""

    period_id: int
    tokens: int | None
    input: int | None
    output: int | None
    taken_input: int = 0  # by this batch
    taken_output: int = 0

    def cover(self, *, prompt_tokens: int, output_tokens: int) -> Covered:
        """What it would pay for of a run: the prompt first."""
        if self.tokens is not None:
            of_prompt = min(prompt_tokens, self.tokens)
            return Covered(input=of_prompt, output=min(output_tokens, self.tokens - of_prompt))
        return Covered(input=min(prompt_tokens, self.input or 0), output=min(output_tokens, self.output or 0))

    def take(self, covered: Covered) -> None:
        """Counts it down."""
        if self.tokens is not None:
            self.tokens -= covered.input + covered.output
        else:
            self.input = (self.input or 0) - covered.input
            self.output = (self.output or 0) - covered.output
        self.taken_input += covered.input
        self.taken_output += covered.output


NOTHING = IncludedCap(0, 0, None, None)  # of an organization without a subscription


def use_included(taken: Iterable[IncludedCap]) -> None:
    """Adds what this batch took to the months."""
    _add({cap.period_id: (cap.taken_input, cap.taken_output) for cap in taken})


def give_back_included(unneeded: Iterable[tuple[int, Covered]]) -> None:
    """Takes what runs did not need off the months, by their ids."""
    input_, output = Counter[int](), Counter[int]()
    for period_id, covered in unneeded:
        input_[period_id] -= covered.input
        output[period_id] -= covered.output
    _add({period_id: (input_[period_id], output[period_id]) for period_id in input_})


def _add(tokens: dict[int, tuple[int, int]]) -> None:
    if tokens:
        execute(
            """UPDATE subscriptions_subscriptionperiod p SET used_input = p.used_input + e.input, used_output = p.used_output + e.output
               FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS e(id, input, output) WHERE p.id = e.id""",
            array(tokens),
            array([of_prompt for of_prompt, _output in tokens.values()]),
            array([output for _input, output in tokens.values()]),
        )
