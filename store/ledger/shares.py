"""Who shares a charge: the platform, those whose models the model was made from, and who sells it. Integers only.

The platform has its commission, of the charge. Royalties are shares of the charge, too: the nearest base first, all of them together at
most the cap's share of what the commission left. Each share is rounded down, and who sells has the rest, so that the shares are the
charge to the unit, whatever the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from store.ledger.actions import NewTransfer
from store.ledger.models import TransferKind
from store.ledger.pricing import PPM

USAGE, COMMISSION, ROYALTY = TransferKind.USAGE, TransferKind.COMMISSION, TransferKind.ROYALTY


@dataclass(frozen=True, slots=True)
class Owed:
    """An organization's royalty, in parts per million of the charge."""

    organization_id: int
    ppm: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How every charge of a run or a training job is shared. An organization is named once.

    ``rest_id`` is the organization that has what is left: the seller. Where the seller is who pays, it is the nearest base's, as a royalty.
    """

    commission_ppm: int
    rest_id: int
    rest_is_royalty: bool = False
    royalties: tuple[Owed, ...] = ()  # the nearest base first
    cap_ppm: int = 0  # of what the commission leaves, for all royalties together

    @property
    def is_plain(self) -> bool:
        """Whether there is nobody but the seller and the platform."""
        return not self.royalties and not self.rest_is_royalty

    @property
    def earners(self) -> set[int]:
        """Ids of the organizations that may earn by it."""
        return {self.rest_id} | {owed.organization_id for owed in self.royalties}


class Share(NamedTuple):  # one is made for every share of every run: a tuple is the cheapest
    """A part of a charge. ``organization_id`` None is the platform."""

    kind: TransferKind
    organization_id: int | None
    amount_nano: int


def split(charge_nano: int, plan: Plan) -> list[Share]:
    """The shares that are not zero, the seller's first. Their sum is the charge."""
    platform = charge_nano * plan.commission_ppm // PPM
    rest = charge_nano - platform
    room = rest * plan.cap_ppm // PPM
    royalties = []
    for owed in plan.royalties:
        amount = min(charge_nano * owed.ppm // PPM, room)
        room -= amount
        rest -= amount
        royalties.append(Share(ROYALTY, owed.organization_id, amount))
    kind = ROYALTY if plan.rest_is_royalty else USAGE
    shares = [Share(kind, plan.rest_id, rest), Share(COMMISSION, None, platform), *royalties]
    return [share for share in shares if share.amount_nano]


def transfers(
    shares: Iterable[Share], *, prefix: str, debit_id: int, earnings: Mapping[int, int], platform_id: int
) -> list[NewTransfer]:
    """What moves the shares out of a wallet. Keys are ``<prefix>:provider``, ``:platform`` and ``:royalty:<organization id>``.

    ``earnings`` and ``platform_id`` are what ``ledger.actions.sinks`` returns.
    """
    return [
        NewTransfer(
            key=f"{prefix}:{_role(share)}",
            debit_id=debit_id,
            credit_id=platform_id if share.organization_id is None else earnings[share.organization_id],
            amount_nano=share.amount_nano,
            kind=share.kind,
        )
        for share in shares
    ]


def _role(share: Share) -> str:
    if share.kind is USAGE:
        return "provider"
    return "platform" if share.organization_id is None else f"royalty:{share.organization_id}"
