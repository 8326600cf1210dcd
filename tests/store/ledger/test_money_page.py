"""The worked example of docs/money.md is what the code says."""

from __future__ import annotations

from store.ledger.pricing import Rates, charge
from store.ledger.shares import Owed, Plan, split
from tests.house.tree import ROOT

CAROL, BOB, ACME = 1, 2, 3


def test_the_worked_example_is_what_the_code_says() -> None:
    rates = Rates(input_nano=370_000_000, cached_input_nano=370_000_000, output_nano=1_130_000_000)
    cost = charge(rates, prompt_tokens=1_234, output_tokens=321)
    plan = Plan(
        commission_ppm=150_000, cap_ppm=500_000, royalties=(Owed(BOB, 50_000), Owed(ACME, 100_000)), rest_id=CAROL
    )
    shares = {share.organization_id: share.amount_nano for share in split(cost, plan)}
    names = {None: "the store", BOB: "bob", ACME: "acme", CAROL: "carol"}
    page = (ROOT / "docs" / "money.md").read_text()
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| ")]
    written = {cells[1].strip(): cells[-2].strip() for cells in rows}
    assert {name: written[name] for name in names.values()} == {
        names[who]: f"{amount:,}" for who, amount in shares.items()
    }
    assert written["the charge"] == f"{cost:,}" == f"{sum(shares.values()):,}"
    own = split(cost, Plan(commission_ppm=150_000, cap_ppm=500_000, royalties=(Owed(ACME, 100_000),), rest_id=BOB, rest_is_royalty=True))  # fmt: skip
    for share in own:
        assert f"{share.amount_nano:,}" in page
