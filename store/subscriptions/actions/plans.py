"""What a provider offers by the month."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from store.accounts.models import User
from store.catalog.actions.errors import NotInThisState
from store.catalog.actions.floors import check_month
from store.catalog.actions.permission import locked
from store.catalog.models import Listing
from store.errors import InvalidRequest, NotFound
from store.ledger.dollars import dollars
from store.subscriptions.models import SubscriptionPlan

NANO_PER_CENT = 10**7
MAX_PRICE_NANO = 10_000 * 10**9
MAX_TOKENS = 10**13
MAX_OFFERED = 10  # plans of a listing at a time
NAME_CHARS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanSpec:
    """Nano-dollars for a month; ``included_tokens`` of any class, or else ``included_input`` and ``included_output``."""

    name: str
    price_nano: int
    included_tokens: int | None = None
    included_input: int | None = None
    included_output: int | None = None

    def check(self) -> None:
        """Raises InvalidRequest naming the field."""
        if not 0 < len(self.name.strip()) <= NAME_CHARS:
            raise InvalidRequest(_("Give the plan a name of at most %d characters.") % NAME_CHARS, param="name")
        if not NANO_PER_CENT <= self.price_nano <= MAX_PRICE_NANO:
            words = _("A month costs %(least)s to %(most)s.")
            amounts = {"least": dollars(NANO_PER_CENT), "most": dollars(MAX_PRICE_NANO)}
            raise InvalidRequest(words % amounts, param="price")
        given = {
            name: value for name, value in asdict(self).items() if name.startswith("included_") and value is not None
        }
        for name, tokens in given.items():
            if not 0 <= tokens <= MAX_TOKENS:
                raise InvalidRequest(_("Included tokens are a number of 0 to %d.") % MAX_TOKENS, param=name)
        if not any(given.values()):
            raise InvalidRequest(_("Say how many tokens are included."), param="included_tokens")
        if self.included_tokens is not None and len(given) > 1:
            raise InvalidRequest(_("Include tokens of any class, or by class: not both."), param="included_tokens")


@transaction.atomic
def offer_plan(*, listing: Listing, user: User | None, plan: PlanSpec) -> SubscriptionPlan:
    """Adds a plan that can be subscribed to from now on. Raises NotFound, NotAProvider, InvalidRequest naming the field, and
    PriceTooLow where the model was made from another's, which is owed more than a share of that.
    """
    plan.check()
    row = locked(listing, user)
    if row.plans.offered().count() >= MAX_OFFERED:
        raise InvalidRequest(_("A model has at most %d plans at a time: retire one first.") % MAX_OFFERED, param="name")
    check_month(
        row, price_nano=plan.price_nano, tokens=plan.included_tokens or 0, input_tokens=plan.included_input or 0,
        output_tokens=plan.included_output or 0,
    )  # fmt: skip
    fields = asdict(plan)
    if plan.included_tokens is None:
        fields |= {"included_input": plan.included_input or 0, "included_output": plan.included_output or 0}
    return SubscriptionPlan.objects.create(**{**fields, "name": plan.name.strip()}, listing=row, created_by=user)


@transaction.atomic
def retire_plan(*, listing: Listing, user: User | None, plan: SubscriptionPlan) -> SubscriptionPlan:
    """Nobody subscribes to it any more; those who have keep it as it is. Raises NotFound, NotInThisState (it was retired before)."""
    row = locked(listing, user)
    if plan.listing_id != row.pk:
        raise NotFound(_("There is no such plan."))
    if SubscriptionPlan.objects.filter(pk=plan.pk, retired_at=None).update(retired_at=Now()) != 1:
        raise NotInThisState(_("This plan is retired already."))
    plan.refresh_from_db()
    return plan
