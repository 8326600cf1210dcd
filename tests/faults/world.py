"""The world in which histories happen: who is there before one begins, and what the database says of its balances."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone
from uuid_utils.compat import uuid7

from store.accounts.models import ProviderProfile, User
from store.billing.customers import place_now
from store.catalog.models import Listing, Price
from store.ledger.actions import ensure_wallets, store_wallet
from store.ledger.models import WalletKind
from store.payouts.models import AccountState, ConnectAccount
from store.runs.actions import heartbeat_gateway
from store.runs.models import Gateway
from store.subscriptions.actions import PlanSpec, offer_plan
from tests.conftest import make_listing, make_user
from tests.faults.oracle import CENT, Fee, Model, Tariff
from tests.store.derivatives import made_from

PEOPLE = ("ann", "ben", "seller")
EARNERS = ("seller", "root")
# Nano-dollars per million tokens, of which no token costs a whole number; a call costs up to about two cents.
TARIFF = Tariff(input_nano=33_333_337_003, output_nano=77_777_771_001, request_nano=7)
ROYALTY_PPM = 123_457
FEE = Fee(flat=1_234_567, ppm=2_503)
AGING = (("ledger_transfer", "created_at"), ("ledger_earningsmark", "at"), ("billing_topup", "created_at"))
BALANCES = """
SELECT coalesce(o.slug || ' ', '') || w.kind, w.posted_nano, w.held_nano,
       coalesce((SELECT sum(amount_nano) FROM ledger_transfer WHERE credit_id = w.id), 0)
         - coalesce((SELECT sum(amount_nano) FROM ledger_transfer WHERE debit_id = w.id), 0),
       coalesce((SELECT sum(amount_nano) FROM ledger_hold WHERE wallet_id = w.id AND status = 'open'), 0)
FROM ledger_wallet w LEFT JOIN accounts_organization o ON o.id = w.organization_id
"""


class World:
    """What is there before a history begins: three who pay, a model, and one that was made from another's."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {name: make_user(name) for name in (*PEOPLE, "root")}
        plain, root = make_listing(self.of("seller"), "plain"), make_listing(self.of("root"), "root")
        self._price(root, derivatives_allowed=True, royalty_ppm=ROYALTY_PPM)
        tuned = made_from(root, self.users["seller"], "tuned")
        for listing in (plain, tuned):
            self._price(listing)
        self.listings = {"plain": plain, "tuned": tuned}
        self.models = {
            "plain": Model(seller="seller", tariff=TARIFF),
            "tuned": Model(seller="seller", tariff=TARIFF, base="root", royalty_ppm=ROYALTY_PPM),
        }
        specs = {
            "plain": PlanSpec(name="Any", price_nano=CENT, included_tokens=150),
            "tuned": PlanSpec(name="By class", price_nano=2 * CENT + 3, included_input=60, included_output=90),
        }  # fmt: skip
        seller = self.users["seller"]
        ProviderProfile.objects.create(organization=self.of("seller"))
        self.plans = {
            name: offer_plan(listing=self.listings[name], user=seller, plan=spec) for name, spec in specs.items()
        }
        ids = [user.personal_organization.pk for user in self.users.values()]
        for kind in (WalletKind.CREDIT, WalletKind.EARNINGS, WalletKind.DISPUTED, WalletKind.IN_FLIGHT):
            ensure_wallets(ids, kind)
        for name in EARNERS:
            ConnectAccount.objects.create(
                organization=self.of(name), place=place_now(), key=uuid7(), stripe_id=f"acct_{name}", state=AccountState.ACTIVE, currency="usd",
            )  # fmt: skip
        for kind in (WalletKind.PLATFORM, WalletKind.TEST_BANK):
            store_wallet(kind)
        self.began = timezone.now()
        self.gateway_id = uuid7()
        heartbeat_gateway(self.gateway_id)
        Gateway.objects.update(
            steady_since=timezone.now() - timedelta(hours=1), heartbeat_at=timezone.now() + timedelta(hours=9)
        )

    def of(self, name: str) -> Any:
        return self.users[name].personal_organization

    def _price(self, listing: Listing, **terms: Any) -> None:
        Price.objects.create(
            listing=listing, input_nano=TARIFF.input_nano, cached_input_nano=TARIFF.input_nano, output_nano=TARIFF.output_nano,
            request_nano=TARIFF.request_nano, **terms,
        )  # fmt: skip
