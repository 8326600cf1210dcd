"""The holders of keys are told of a scheduled price, once."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from store.catalog.actions.notices import tell
from store.catalog.holders import holders_of
from store.catalog.models import NoticeKind, Price, PriceAnnouncement
from store.ledger.dollars import dollars


@transaction.atomic
def announce_price(price_id: int) -> None:
    """Writes the mails of an announcement that is due. One that another row has taken the place of is dropped. Twice is once."""
    due = PriceAnnouncement.objects.select_for_update().filter(price_id=price_id, sent_at=None)
    if not due.exists():
        return
    price = Price.objects.select_related("listing__organization").get(pk=price_id)
    others = price.listing.prices.filter(starts_at=price.starts_at)
    if others.latest("id") != price:
        PriceAnnouncement.objects.filter(price_id=price_id).delete()
        return
    _tell(price, was_told=others.filter(announcement__sent_at__isnull=False).exists())
    PriceAnnouncement.objects.filter(price_id=price_id).update(sent_at=timezone.now())


def _tell(price: Price, *, was_told: bool) -> None:
    before = price.listing.prices.filter(starts_at__lt=price.starts_at).order_by("-starts_at", "-id").first()
    holders, day = holders_of(price.listing), f"{price.starts_at:%Y-%m-%d %H:%M} UTC"
    if before is None or price.terms != before.terms:
        tell(holders, NoticeKind.PRICE_CHANGE, price.listing, day=day, changes="\n".join(_changes(before, price)))
    elif was_told:
        tell(holders, NoticeKind.PRICE_KEPT, price.listing, day=day)


def _changes(before: Price | None, price: Price) -> list[str]:
    """A line for each class that changes."""
    names = {
        "input_nano": _("input"), "cached_input_nano": _("cached input"), "output_nano": _("output"),
        "request_nano": _("each request"), "training_nano": _("training"), "free_nano": _("free each month, in calls worth"),
    }  # fmt: skip
    lines = []
    for field, name in names.items():
        old, new = getattr(before, field, 0), getattr(price, field)
        if old != new:
            lines.append(f"- {name}: {dollars(old)} -> {dollars(new)}")
    if before and (before.derivatives_allowed, before.royalty_ppm) != (price.derivatives_allowed, price.royalty_ppm):
        may = _("yes") if price.derivatives_allowed else _("no")
        lines.append(
            "- "
            + _("fine-tunes may be sold: %(may)s, royalty %(share)g %%")
            % {"may": may, "share": price.royalty_ppm / 10_000}
        )
    return lines


def due_announcements() -> list[int]:
    """Ids of prices whose announcement is due: the message was lost."""
    return list(PriceAnnouncement.objects.filter(sent_at=None).order_by("pk").values_list("pk", flat=True)[:100])
