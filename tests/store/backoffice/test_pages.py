"""The pages on which staff ask, confirm and decide; and that there is no way round them."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from django.contrib import admin as django_admin
from django.db import IntegrityError, connection, transaction
from django.test import Client, RequestFactory
from django.urls import reverse

from store.accounts.models import User
from store.backoffice.models import ActionKind, ActionStatus, AdminAction
from store.ledger.actions import wallet_of
from store.ledger.models import Freeze, Transfer, Wallet, WalletKind
from tests.store.backoffice.conftest import SignedIn

pytestmark = pytest.mark.django_db
DOLLAR = 10**9
BOOKS = (
    "ledger_wallet", "ledger_transfer", "ledger_hold", "ledger_sharesplan", "ledger_freeze", "ledger_earningsrelease", "backoffice_adminaction",
    "backoffice_ledgerday", "backoffice_walletday", "backoffice_auditrun", "backoffice_auditfinding", "billing_topup", "billing_refundorder",
    "billing_promocode", "payouts_payout",
)  # fmt: skip


def page(kind: str) -> str:
    return reverse(f"admin:backoffice_adminaction_{kind}")


def posted(user: User) -> int:
    return wallet_of(user.personal_organization.pk, WalletKind.CREDIT).posted_nano


def grant(**more: object) -> dict[str, object]:
    return {
        "id": str(uuid4()),
        "organization": "consumer",
        "amount": "12.50",
        "reason": "An outage.",
        "days": "90",
        "note": "Sorry.",
        **more,
    }


@pytest.mark.usefixtures("proven")
def test_credit_is_granted_after_a_look_at_what_it_comes_to(
    operator: User, consumer: User, signed_in: SignedIn
) -> None:
    client = signed_in(operator)
    asked = client.get(page("grant"), {"organization": "consumer"})
    assert asked.context["form"]["organization"].value() == "consumer"
    assert UUID(str(asked.context["form"]["id"].value()))
    said = grant()
    looked = client.post(page("grant"), said)
    assert "$12.50" in looked.content.decode()
    assert not AdminAction.objects.exists()
    for _twice in range(2):
        done = client.post(page("grant"), {**said, "confirm": "1"}, follow=True)
        assert "It is done." in done.content.decode()
    assert (posted(consumer), AdminAction.objects.get().requested_by) == (12_500_000_000, operator)


def test_what_was_asked_for_can_be_changed_before_it_is_confirmed(
    operator: User, consumer: User, signed_in: SignedIn
) -> None:
    answer = signed_in(operator).post(page("grant"), grant(change="1"))
    assert answer.templates[0].name == "backoffice/ask.html"
    assert answer.context["form"]["amount"].value() == "12.50"
    assert not AdminAction.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("organization", "nobody", "no organization of this name"),
        ("organization", "", "required"),
        ("amount", "a lot", "Write an amount"),
        ("amount", "-5", "Write an amount"),
        ("amount", "1e9", "Write an amount"),
        ("amount", "0", "above 0"),
        ("reason", " ", "required"),
        ("reason", "x" * 2001, "at most 2000"),
        ("id", "1", "valid UUID"),
        ("days", "0", "greater than or equal to 1"),
        ("days", "", "required"),
        ("amount", "10001", "at most $10,000"),
    ],
)
def test_a_form_that_is_wrong_says_what_to_do(
    operator: User, consumer: User, signed_in: SignedIn, field: str, value: str, words: str
) -> None:
    answer = signed_in(operator).post(page("grant"), grant(confirm="1", **{field: value}))
    assert words in str(answer.context["form"].errors)
    assert not AdminAction.objects.exists()


def test_a_large_grant_is_approved_by_another_person_in_the_admin(
    operator: User, approver: User, consumer: User, signed_in: SignedIn
) -> None:
    mine = signed_in(operator)
    assert "a second person must approve" in mine.post(page("grant"), grant(amount="500")).content.decode()
    mine.post(page("grant"), grant(amount="500", confirm="1"))
    action = AdminAction.objects.get()
    decide = reverse("admin:backoffice_adminaction_decide", args=[action.pk])
    assert mine.get(decide).status_code == 403
    theirs = signed_in(approver)
    assert "An outage." in theirs.get(decide).content.decode()
    refused = theirs.post(decide, {"refuse": "1", "answer": ""})
    assert (refused.status_code, "Say why" in refused.content.decode()) == (400, True)
    assert "is done" in theirs.post(decide, {"approve": "1", "answer": "Agreed."}, follow=True).content.decode()
    assert (posted(consumer), AdminAction.objects.get().decided_by) == (500 * DOLLAR, approver)
    assert theirs.post(decide, {"refuse": "1", "answer": "No."}).status_code == 409
    assert theirs.get(reverse("admin:backoffice_adminaction_decide", args=[uuid4()])).status_code == 404
    assert theirs.get(reverse("admin:backoffice_adminaction_decide", args=["x"])).status_code == 404


def test_a_superuser_does_not_approve_their_own(admin: User, consumer: User, signed_in: SignedIn) -> None:
    client = signed_in(admin)
    client.post(page("grant"), grant(amount="500", confirm="1"))
    decide = reverse("admin:backoffice_adminaction_decide", args=[AdminAction.objects.get().pk])
    answer = client.post(decide, {"approve": "1"})
    assert (answer.status_code, "A second person decides" in answer.content.decode()) == (403, True)
    assert posted(consumer) == 0


@pytest.mark.usefixtures("proven")
def test_a_correction_names_two_wallets(operator: User, consumer: User, wallet: Wallet, signed_in: SignedIn) -> None:
    client = signed_in(operator)
    said = {"id": str(uuid4()), "debit_kind": "credit", "debit_of": "consumer", "credit_kind": "platform", "credit_of": "",
            "amount": "1.000000001", "reason": "Booked twice."}  # fmt: skip
    for broken, words in (
        ({"debit_of": ""}, "Whose wallet?"),
        ({"credit_of": "consumer"}, "own."),
        ({"amount": "50"}, "does not have that much"),
    ):
        answer = client.post(page("adjust"), {**said, **broken, "confirm": "1"})
        assert words in str(answer.context["form"].errors)
    assert "consumer/credit" in client.post(page("adjust"), said).content.decode()
    client.post(page("adjust"), {**said, "confirm": "1"})
    assert Transfer.objects.get(kind="correction").amount_nano == 1_000_000_001


def test_freezing_and_lifting_are_done_at_once(operator: User, consumer: User, signed_in: SignedIn) -> None:
    client = signed_in(operator)
    said = {"organization": "consumer", "reason": "Stolen cards.", "confirm": "1"}
    for kind, frozen in (
        ("freeze_spending", {"spending"}),
        ("freeze_payouts", {"spending", "payouts"}),
        ("lift_spending", {"payouts"}),
        ("lift_payouts", set()),
    ):
        client.post(page(kind), {**said, "id": str(uuid4())})
        assert set(Freeze.objects.current().values_list("what", flat=True)) == frozen
    assert AdminAction.objects.filter(status=ActionStatus.DONE).count() == 4


def test_who_may_not_ask_finds_no_form(
    accountant: User, approver: User, consumer: User, signed_in: SignedIn, client: Client
) -> None:
    for user in (accountant, approver):
        browser = signed_in(user)
        for kind in ActionKind.values:
            kind = "run_payout" if kind == ActionKind.PAYOUT else kind
            assert browser.get(page(kind)).status_code == 403
            assert browser.post(page(kind), grant(confirm="1")).status_code == 403
    client.force_login(consumer)
    assert client.post(page("grant"), grant(confirm="1"), follow=True).status_code == 403
    assert not AdminAction.objects.exists()


def test_no_post_to_the_admin_changes_the_books(admin: User, wallet: Wallet, signed_in: SignedIn) -> None:
    """Every list, every row and every form of the tables of money, whatever is sent to it."""
    client = signed_in(admin)
    before = (posted_rows(), wallet.posted_nano)
    for model, model_admin in django_admin.site._registry.items():
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        if name not in BOOKS:
            continue
        row = model_admin.get_queryset(RequestFactory().get("/")).first()
        said = {"posted_nano": 1, "amount_nano": 1, "kind": "grant", "action": "delete_selected", "post": "yes", "_save": "1",
                "_selected_action": row.pk if row else 1}  # fmt: skip
        assert client.post(reverse(f"admin:{name}_add"), said).status_code == 403, name
        client.post(reverse(f"admin:{name}_changelist"), said)
        if row:
            assert client.post(reverse(f"admin:{name}_change", args=[row.pk]), said).status_code == 403, name
            assert client.post(reverse(f"admin:{name}_delete", args=[row.pk]), said).status_code == 403, name
    wallet.refresh_from_db()
    assert (posted_rows(), wallet.posted_nano) == before


def posted_rows() -> list[tuple[int, int]]:
    return sorted(Wallet.objects.values_list("pk", "posted_nano"))


@pytest.mark.parametrize(
    "query",
    [
        "UPDATE ledger_wallet SET posted_nano = posted_nano + 1",
        "UPDATE ledger_wallet SET held_nano = 5",
        "DELETE FROM ledger_wallet",
        "UPDATE ledger_transfer SET amount_nano = 1",
        "DELETE FROM ledger_transfer",
    ],
)
def test_the_database_refuses_to_edit_the_books(wallet: Wallet, query: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(query)
