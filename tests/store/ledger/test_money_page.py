"""The worked example of docs/money.md is what the code says."""

from __future__ import annotations

from decimal import Decimal

from pytest_django import Settings

from store.ledger.pricing import Rates, charge
from store.ledger.shares import Owed, Plan, split
from store.payouts.fees import quote
from tests.house.tree import ROOT

CAROL, BOB, ACME = 1, 2, 3
NAMES = {None: "the store", BOB: "bob", ACME: "acme", CAROL: "carol"}
RATES = Rates(input_nano=370_000_000, cached_input_nano=370_000_000, output_nano=1_130_000_000)
PLAN = Plan(commission_ppm=150_000, cap_ppm=500_000, royalties=(Owed(BOB, 50_000), Owed(ACME, 100_000)), rest_id=CAROL)
CALLS, PAID, CREDIT = 30_000, Decimal("29.75"), Decimal(25)


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def table(text: str) -> dict[str, list[str]]:
    """The cells of each row by the first of them."""
    rows = [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]
    return {row[0]: row[1:] for row in rows}


def one_call() -> dict[int | None, int]:
    cost = charge(RATES, prompt_tokens=1_234, output_tokens=321)
    return {share.organization_id: share.amount_nano for share in split(cost, PLAN)}


def test_the_shares_of_a_call_are_what_the_code_says() -> None:
    text, shares = page("money.md"), one_call()
    written = {name: cells[-1] for name, cells in table(text).items()}
    assert {name: written[name] for name in NAMES.values()} == {NAMES[who]: f"{nano:,}" for who, nano in shares.items()}
    cost, held = sum(shares.values()), charge(RATES, prompt_tokens=1_234, output_tokens=400)
    assert written["the charge"] == f"{cost:,}"
    assert f"= {held:,}, and when it ends {held - cost:,} of it are free again" in text


def test_ones_own_calls_are_shared_as_the_page_says() -> None:
    cost = sum(one_call().values())
    own = split(cost, Plan(commission_ppm=150_000, cap_ppm=500_000, royalties=(Owed(ACME, 100_000),), rest_id=BOB, rest_is_royalty=True))  # fmt: skip
    for share in own:
        assert f"{share.amount_nano:,}" in page("shares.md")


def test_every_line_of_balances_is_what_the_code_says_and_adds_up_to_zero(settings: Settings) -> None:
    settings.PAYOUT_FEE_NANO, settings.PAYOUT_FEE_PPM = 250_000_000, 2_500
    earned = {who: Decimal(nano * CALLS).scaleb(-9) for who, nano in one_call().items()}
    asked = quote(int(earned[CAROL].scaleb(9)))
    sent, fee = Decimal(asked.sent_nano).scaleb(-9), Decimal(asked.fee_nano).scaleb(-9)
    tax, left, rest = PAID - CREDIT, CREDIT - sum(earned.values()), earned[CAROL] - sent - fee
    shared = [earned[BOB], earned[ACME]]
    expected = {
        "the top-up": [-PAID, tax, CREDIT, 0, 0, 0, 0, 0],
        "30,000 calls": [-PAID, tax, left, earned[CAROL], 0, *shared, earned[None]],
        "carol asks": [-PAID, tax, left, rest, sent + fee, *shared, earned[None]],
        "it has arrived": [sent - PAID, tax, left, rest, 0, *shared, earned[None] + fee],
    }
    written = table(page("money.md"))
    for when, balances in expected.items():
        assert [Decimal(cell.replace("−", "-")) for cell in written[when]] == balances, when
        assert sum(balances) == 0
