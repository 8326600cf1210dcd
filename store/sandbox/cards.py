"""Stripe's well-known test cards: what happens to a payment with each. Any other number is no card here.

https://docs.stripe.com/testing
"""

from __future__ import annotations

from dataclasses import dataclass

from store.sandbox.errors import ApiError, CardDeclined


@dataclass(frozen=True, slots=True)
class Card:
    """``declined``: what the bank answers to every charge; ``off_session``: what it answers where nobody is there to confirm."""

    brand: str = "visa"
    declined: str = ""
    off_session: str = ""
    is_disputed: bool = False
    attaches: bool = True


CARDS = {
    "4242424242424242": Card(),
    "5555555555554444": Card(brand="mastercard"),
    "4000000000000002": Card(declined="generic_decline", attaches=False),
    "4000000000009995": Card(declined="insufficient_funds", attaches=False),
    "4000000000000069": Card(declined="expired_card", attaches=False),
    "4000000000000127": Card(declined="incorrect_cvc", attaches=False),
    "4000000000000341": Card(declined="generic_decline"),  # can be saved, and then not be charged
    "4000002500003155": Card(off_session="authentication_required"),
    "4000000000000259": Card(is_disputed=True),
}
TOKENS = {
    "pm_card_visa": "4242424242424242",
    "pm_card_mastercard": "5555555555554444",
    "pm_card_chargeDeclined": "4000000000000002",
    "pm_card_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_chargeCustomerFail": "4000000000000341",
    "pm_card_authenticationRequired": "4000002500003155",
    "pm_card_createDispute": "4000000000000259",
}
OWN_CODES = {"expired_card", "incorrect_cvc", "authentication_required"}  # the code is the decline code


def card_of(number: str) -> Card:
    """Raises ApiError on a number that is no test card's."""
    card = CARDS.get(number)
    if card is None:
        raise ApiError(
            "Your card number is incorrect: the sandbox takes test cards only.",
            status=402,
            type="card_error",
            code="incorrect_number",
            param="number",
        )
    return card


def refuse_charge(number: str, *, off_session: bool) -> CardDeclined | None:
    """Why a charge of this card fails; None where it succeeds."""
    card = card_of(number)
    why = card.declined or (card.off_session if off_session else "")
    if not why:
        return None
    return CardDeclined(why, code=why if why in OWN_CODES else "card_declined")
