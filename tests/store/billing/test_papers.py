"""Receipts, credit notes and statements: numbered without gaps, never changed, equal to the ledger to the unit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from django.core import mail
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from store.accounts.models import Membership, Role, TokenScope, User
from store.accounts.tokens import issue_token
from store.billing.details import change_details
from store.billing.letters import send_letters
from store.billing.models import Paper, PaperKind, PaperSeries, Quarantine, StripeEvent, TopupMode
from store.billing.papers.issuing import issue
from store.billing.papers.sheet import as_pdf, sheet_of
from store.billing.papers.statements import Month, due_statements, issue_statement
from store.ledger.actions import store_wallet, transfer, wallet_of
from store.ledger.audit import audit
from store.ledger.models import TransferKind, WalletKind
from tests.conftest import DOLLAR, make_user
from tests.sandboxed import Till
from tests.store.console.conftest import MakeRun, make_run

__all__ = ["make_run"]
CENT = DOLLAR // 100
YEAR = timezone.now().year


def balances(user: User) -> dict[str, int]:
    """Cents by wallet."""
    credit = wallet_of(user.personal_organization.pk, WalletKind.CREDIT).posted_nano
    others = (WalletKind.TAX, WalletKind.PLATFORM, WalletKind.TEST_BANK)
    return {"credit": credit // CENT, **{kind: store_wallet(kind).posted_nano // CENT for kind in others}}


def papers(kind: PaperKind) -> list[Paper]:
    return list(Paper.objects.filter(kind=kind).order_by("number"))


@pytest.mark.django_db
def test_tax_is_paid_besides_the_credit_and_stands_on_the_receipt(till: Till, consumer: User) -> None:
    till.buy(consumer, country="DE")
    till.deliver()
    till.deliver()
    assert balances(consumer) == {"credit": 2500, "tax": 475, "platform": 0, "test_bank": -2975}
    [receipt] = papers(PaperKind.RECEIPT)
    assert receipt.number == f"TR-{YEAR}-000001"
    sheet = sheet_of(receipt)
    assert sheet.totals == [("Net", "$25.00"), ("Tax", "$4.75"), ("Total in USD", "$29.75")]
    assert sheet.buyer == ["Consumer", "Germany"]
    assert any("Test money" in note for note in sheet.notes)
    assert not Quarantine.objects.exists()
    send_letters()
    assert receipt.number in mail.outbox[0].subject
    assert f"/wallet/invoices/{receipt.number}" in mail.outbox[0].body


@pytest.mark.django_db
def test_a_business_with_a_tax_id_is_charged_none(till: Till, consumer: User) -> None:
    till.buy(consumer, country="FR", tax_id="FR12345678901")
    till.deliver()
    assert balances(consumer)["tax"] == 0
    sheet = sheet_of(papers(PaperKind.RECEIPT)[0])
    assert "Tax id: FR12345678901" in sheet.buyer
    assert any("reverse charge" in note for note in sheet.notes)


@pytest.mark.django_db
def test_a_tax_that_does_not_fit_the_page_moves_no_credit(till: Till, consumer: User) -> None:
    topup = till.buy(consumer, country="DE")
    till.change(str(topup.checkout_session), total_details={"amount_tax": 100})
    till.deliver()
    assert balances(consumer)["credit"] == 0
    assert Quarantine.objects.filter(reason="amount").exists()
    assert not Paper.objects.exists()


@pytest.mark.django_db
def test_refunds_in_parts_give_all_the_tax_back(till: Till, consumer: User) -> None:
    topup = till.buy(consumer, country="DE")
    for cents in (1000, 1000, 975):
        till.v1.refunds.create({"payment_intent": till.intent(topup), "amount": cents})
        till.deliver()
    assert balances(consumer) == {"credit": 0, "tax": 0, "platform": 0, "test_bank": 0}
    notes = papers(PaperKind.CREDIT_NOTE)
    assert [note.number[-1] for note in notes] == ["1", "2", "3"]
    assert sum(note.total_nano for note in notes) == -2975 * CENT
    assert sum(note.content["tax_nano"] for note in notes) == -475 * CENT
    assert notes[0].content["corrects"] == papers(PaperKind.RECEIPT)[0].number


@pytest.mark.django_db
def test_a_refund_that_fails_has_its_credit_note_taken_back(till: Till, consumer: User) -> None:
    topup = till.buy(consumer, country="DE")
    refund = till.v1.refunds.create({"payment_intent": till.intent(topup), "amount": 2975})
    till.deliver()
    till.change(refund.id, status="failed")
    StripeEvent.objects.update(processed_at=None, due_at="2000-01-01T00:00Z")
    till.deliver()
    assert [note.total_nano for note in papers(PaperKind.CREDIT_NOTE)] == [-2975 * CENT, 2975 * CENT]
    assert balances(consumer) == {"credit": 2500, "tax": 475, "platform": 0, "test_bank": -2975}


@pytest.mark.django_db
@pytest.mark.parametrize("won", [True, False])
def test_a_dispute_takes_its_tax_along(till: Till, consumer: User, won: bool) -> None:
    topup = till.buy(consumer, country="DE")
    dispute = till.dispute(topup)
    till.deliver()
    assert balances(consumer) == {"credit": 0, "tax": 0, "platform": 0, "test_bank": -2975}
    till.decide(dispute, won=won)
    till.deliver()
    assert [note.total_nano for note in papers(PaperKind.CREDIT_NOTE)] == ([] if won else [-2975 * CENT])
    assert balances(consumer)["tax"] == (475 if won else 0)


def issue_one(user: User, about: str) -> Paper:
    content = {"buyer": {"name": "x", "address": []}, "lines": [], "net_nano": 1, "tax_nano": 0}
    return issue(
        user.personal_organization, PaperKind.RECEIPT, about=about, mode=TopupMode.TEST, total_nano=1, content=content
    )  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_numbers_have_no_gaps_whatever_is_rolled_back(db: None) -> None:
    user = make_user("person")

    def run(turn: int) -> None:
        try:
            with transaction.atomic():
                issue_one(user, f"x:{turn}")
                if turn % 3 == 0:
                    raise RuntimeError
        except RuntimeError:
            pass
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(run, range(24)))
    numbers = [paper.number for paper in papers(PaperKind.RECEIPT)]
    assert numbers == [f"TR-{YEAR}-{number:06d}" for number in range(1, 17)]
    connection.cursor().execute("TRUNCATE billing_paper, billing_paperseries")


@pytest.mark.django_db
def test_a_paper_is_never_changed_or_deleted(till: Till, consumer: User) -> None:
    till.buy(consumer)
    till.deliver()
    with pytest.raises(IntegrityError), transaction.atomic():
        Paper.objects.update(total_nano=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        Paper.objects.all().delete()


@pytest.mark.django_db
def test_what_was_issued_stays_as_it_was(till: Till, consumer: User) -> None:
    organization = consumer.personal_organization
    change_details(organization=organization, user=consumer, legal_name="Erste GmbH", country="DE")
    till.buy(consumer)
    till.deliver()
    change_details(organization=organization, user=consumer, legal_name="Zweite GmbH", country="DE")
    till.buy(consumer)
    till.deliver()
    assert [paper.content["buyer"]["name"] for paper in papers(PaperKind.RECEIPT)] == ["Erste GmbH", "Zweite GmbH"]


@pytest.mark.django_db
def test_names_of_any_script_and_of_any_content_are_words_on_the_pdf(till: Till, consumer: User) -> None:
    name = 'Zażółć 日本 العربية #panic("x") $x$ *b* @ref \\ "quoted" <b>'
    change_details(organization=consumer.personal_organization, user=consumer, legal_name=name, country="PL")
    till.buy(consumer)
    till.deliver()
    [receipt] = papers(PaperKind.RECEIPT)
    assert sheet_of(receipt).buyer[0] == name
    first = as_pdf(receipt)
    assert first.startswith(b"%PDF-")
    assert as_pdf(receipt) == first


@pytest.mark.django_db
def test_the_audit_names_a_missing_number_and_a_missing_receipt(till: Till, consumer: User) -> None:
    topup = till.buy(consumer)
    till.deliver()
    with transaction.atomic():
        PaperSeries.objects.update(last=2)
        assert {found.check for found in audit()} == {"numbers of papers"}
        transaction.set_rollback(True)
    with transaction.atomic():
        type(topup).objects.update(tax_nano=1)
        assert {found.check for found in audit()} == {"tax of a top-up", "receipts and credit notes"}
        transaction.set_rollback(True)


@pytest.mark.django_db
def test_a_statement_adds_up_to_the_balance_and_the_next_goes_on_from_it(
    till: Till, consumer: User, make_run: MakeRun
) -> None:
    organization = consumer.personal_organization  # make_run has given it ten dollars
    month, next_month = Month.of(timezone.now().date()), Month.of(Month.of(timezone.now().date()).ends.date())
    till.buy(consumer)
    till.deliver()
    runs = [make_run() for _turn in range(3)]
    assert due_statements(month) == [organization.pk]
    paper = issue_statement(organization.pk, month)
    assert issue_statement(organization.pk, month) == paper
    assert due_statements(month) == []
    spent = sum(run.charge_nano for run in runs)
    assert paper.total_nano == spent
    assert paper.content["used"] == [
        {"text": "provider/bard", "calls": 3, "tokens_in": 300, "tokens_out": 150, "amount_nano": spent}
    ]
    assert paper.content["moved"] == [{"text": "Top-up", "amount_nano": 35 * DOLLAR}]
    assert paper.content["closing_nano"] == wallet_of(organization.pk, WalletKind.CREDIT).posted_nano
    later = issue_statement(organization.pk, next_month)
    assert (later.content["opening_nano"], later.content["closing_nano"]) == (paper.content["closing_nano"],) * 2
    assert sheet_of(paper).totals[-1][0] == "Balance when the month ended"
    assert as_pdf(paper).startswith(b"%PDF-")


@pytest.mark.django_db
def test_what_no_run_explains_is_a_line_of_its_own(till: Till, consumer: User) -> None:
    till.buy(consumer)
    till.deliver()
    credit = wallet_of(consumer.personal_organization.pk, WalletKind.CREDIT)
    with transaction.atomic():
        for key in ("tune:x:provider", "plan:x"):
            transfer(
                key=key, debit_id=credit.pk, credit_id=store_wallet(WalletKind.PLATFORM).pk, amount_nano=DOLLAR,
                kind=TransferKind.CORRECTION,
            )  # fmt: skip
        paper = issue_statement(consumer.personal_organization.pk, Month.of(timezone.now().date()))
        used = [(line["text"], line["amount_nano"]) for line in paper.content["used"]]
        assert used == [("Fine-tuning", DOLLAR), ("Other", DOLLAR)]
        assert paper.content["closing_nano"] == 23 * DOLLAR
        transaction.set_rollback(True)  # no training explains it


def test_a_month_ends_where_the_next_begins() -> None:
    december = Month.before(datetime(2027, 1, 3, tzinfo=UTC))
    assert (december.starts, december.ends) == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


@pytest.mark.django_db
def test_papers_are_on_pages_and_nobody_elses(till: Till, consumer: User, stranger: User, client: Client) -> None:
    client.force_login(consumer)
    assert "No invoices here" in client.get("/wallet/invoices").content.decode()
    topup = till.buy(consumer, country="DE")
    till.deliver()
    [receipt] = papers(PaperKind.RECEIPT)
    listed = client.get("/wallet/invoices", {"kind": "receipt", "year": YEAR, "before": "nonsense"}).content.decode()
    assert receipt.number in listed
    assert receipt.number not in client.get("/wallet/invoices", {"kind": "statement"}).content.decode()
    page = client.get(f"/wallet/invoices/{receipt.number}").content.decode()
    assert "$29.75" in page
    assert "Germany" in page
    pdf = client.get(f"/wallet/invoices/{receipt.number}.pdf")
    assert (pdf["content-type"], pdf.content[:5]) == ("application/pdf", b"%PDF-")
    assert receipt.number in client.get(f"/wallet/top-ups/{topup.pk}").content.decode()
    client.force_login(stranger)
    for end in ("", ".pdf"):
        assert client.get(f"/wallet/invoices/{receipt.number}{end}").status_code == 404


@pytest.mark.django_db
def test_papers_are_had_by_the_api(till: Till, consumer: User, stranger: User) -> None:
    till.buy(consumer, country="DE")
    till.deliver()
    tokens = [issue_token(user=user, name="t", scopes=[TokenScope.READ]).secret for user in (consumer, stranger)]
    mine, other = (Client(headers={"authorization": f"Bearer {token}"}) for token in tokens)
    [shown] = mine.get("/api/invoices", {"kind": "receipt"}).json()["results"]
    assert (shown["total_nano"], shown["content"]["tax_nano"]) == (2975 * CENT, 475 * CENT)
    assert mine.get("/api/invoices", {"kind": "statement"}).json()["results"] == []
    at = f"/api/invoices/{shown['number']}"
    assert mine.get(at).json() == shown
    assert mine.get(f"{at}.pdf").content.startswith(b"%PDF-")
    assert other.get(at).status_code == other.get(f"{at}.pdf").status_code == 404


@pytest.mark.django_db
def test_details_are_changed_on_a_page_by_those_who_may_buy(client: Client, consumer: User, stranger: User) -> None:
    client.force_login(consumer)
    wrong = client.post("/settings/billing", {"country": "DE", "tax_id": "123"})
    assert (wrong.status_code, "DE123456789" in wrong.content.decode()) == (422, True)
    saved = client.post(
        "/settings/billing", {"legal_name": "Müller & Söhne", "country": "DE", "tax_id": "de 123456789"}
    )
    assert saved.status_code == 302
    assert "DE123456789" in client.get("/settings/billing").content.decode()
    Membership.objects.create(organization=consumer.personal_organization, user=stranger, role=Role.VIEWER)
    client.force_login(stranger)
    client.post(f"/organizations/{consumer.personal_organization.pk}/switch")
    assert '<form class="form' not in client.get("/settings/billing").content.decode()
    assert client.post("/settings/billing", {"legal_name": "mine"}).status_code == 403
