"""Whatever is granted, held, captured, voided, expired and moved, in whatever order: the books are right after every step."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test
from uuid_utils.compat import uuid7

from store.ledger.actions import NewHold, Resolution, place_holds, resolve_holds, store_wallet, transfer, wallet_of
from store.ledger.audit import audit
from store.ledger.models import HoldStatus, TransferKind, Wallet, WalletKind
from tests.conftest import make_user

amounts = st.integers(1, 1000)


class Books(RuleBasedStateMachine):
    """Two consumers, and a model of what they have."""

    holds = Bundle("holds")
    resolved = Bundle("resolved")

    def __init__(self) -> None:
        super().__init__()
        self.around = transaction.atomic()
        self.around.__enter__()
        self.bank, self.platform = store_wallet(WalletKind.TEST_BANK), store_wallet(WalletKind.PLATFORM)
        users = make_user("machine-a"), make_user("machine-b")
        self.wallets = [wallet_of(user.personal_organization.id, WalletKind.CREDIT) for user in users]
        self.posted, self.held, self.moves = [0, 0], [0, 0], 0

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.around.__exit__(None, None, None)

    def move(self, debit: Wallet, credit: Wallet, amount: int) -> None:
        self.moves += 1
        key = f"move:{self.moves}"
        assert transfer(key=key, debit_id=debit.id, credit_id=credit.id, amount_nano=amount, kind=TransferKind.GRANT)
        assert not transfer(
            key=key, debit_id=debit.id, credit_id=credit.id, amount_nano=amount, kind=TransferKind.GRANT
        )

    @rule(who=st.integers(0, 1), amount=amounts)
    def grant(self, who: int, amount: int) -> None:
        self.move(self.bank, self.wallets[who], amount)
        self.posted[who] += amount

    @rule(who=st.integers(0, 1), amount=amounts)
    def spend(self, who: int, amount: int) -> None:
        if amount > self.posted[who] - self.held[who]:
            with pytest.raises(IntegrityError), transaction.atomic():
                self.move(self.wallets[who], self.platform, amount)
            return
        self.move(self.wallets[who], self.platform, amount)
        self.posted[who] -= amount

    @rule(target=holds, who=st.integers(0, 1), amount=st.integers(0, 1000))
    def hold(self, who: int, amount: int) -> tuple[UUID, int, int] | None:
        new = NewHold(
            id=uuid7(),
            wallet_id=self.wallets[who].id,
            amount_nano=amount,
            expires_at=timezone.now() + timedelta(hours=1),
        )
        if amount > self.posted[who] - self.held[who]:
            with pytest.raises(IntegrityError), transaction.atomic():
                place_holds([new])
            return None
        place_holds([new])
        self.held[who] += amount
        return new.id, who, amount

    @rule(target=resolved, hold=consumes(holds), share=st.floats(0, 1))
    def capture(self, hold: tuple[UUID, int, int] | None, share: float) -> UUID | None:
        if hold is None:
            return None
        hold_id, who, amount = hold
        captured = int(amount * share)
        resolve_holds([Resolution(hold_id=hold_id, status=HoldStatus.CAPTURED, captured_nano=captured)])
        if captured:
            self.move(self.wallets[who], self.platform, captured)
        self.held[who] -= amount
        self.posted[who] -= captured
        return hold_id

    @rule(target=resolved, hold=consumes(holds), status=st.sampled_from([HoldStatus.VOIDED, HoldStatus.EXPIRED]))
    def release(self, hold: tuple[UUID, int, int] | None, status: HoldStatus) -> UUID | None:
        if hold is None:
            return None
        resolve_holds([Resolution(hold_id=hold[0], status=status)])
        self.held[hold[1]] -= hold[2]
        return hold[0]

    @rule(hold_id=resolved, status=st.sampled_from([HoldStatus.CAPTURED, HoldStatus.VOIDED, HoldStatus.EXPIRED]))
    def resolve_again(self, hold_id: UUID | None, status: HoldStatus) -> None:
        if hold_id is not None:
            with pytest.raises(IntegrityError), transaction.atomic():
                resolve_holds([Resolution(hold_id=hold_id, status=status)])

    @invariant()
    def books_are_right(self) -> None:
        rows = [Wallet.objects.get(pk=wallet.pk) for wallet in self.wallets]
        assert [(row.posted_nano, row.held_nano) for row in rows] == list(zip(self.posted, self.held, strict=True))
        assert audit() == []


@pytest.mark.django_db
def test_the_books_are_right_after_every_step() -> None:
    run_state_machine_as_test(
        Books,
        settings=settings(
            max_examples=8, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
