"""An example of what a call costs, by the rule that charges it."""

from __future__ import annotations

from dataclasses import dataclass

from store.catalog.models import Listing, Price
from store.ledger.pricing import Rates, charge

PROMPT_TOKENS, OUTPUT_TOKENS = 420, 180


@dataclass(frozen=True, slots=True)
class Receipt:
    model: str
    digest: str
    prompt_tokens: int
    output_tokens: int
    input_nano: int  # for the prompt
    output_nano: int  # for the answer
    request_nano: int
    total_nano: int


def example_receipt(listing: Listing) -> Receipt | None:
    """A call of a usual size at the price in force; None where the listing has no price or no release."""
    price = Price.objects.current().filter(listing=listing).first()
    if price is None or listing.current_release is None:
        return None
    rates = Rates(input_nano=price.input_nano, cached_input_nano=price.cached_input_nano, output_nano=price.output_nano)
    prompt = charge(rates, prompt_tokens=PROMPT_TOKENS, output_tokens=0)
    both = charge(rates, prompt_tokens=PROMPT_TOKENS, output_tokens=OUTPUT_TOKENS)
    return Receipt(
        model=listing.name,
        digest=listing.current_release.digest,
        prompt_tokens=PROMPT_TOKENS,
        output_tokens=OUTPUT_TOKENS,
        input_nano=prompt,
        output_nano=both - prompt,
        request_nano=price.request_nano,
        total_nano=both + price.request_nano,
    )
