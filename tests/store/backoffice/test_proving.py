"""An audit opens findings, keeps them while they are there, resolves them when they are gone, and tells those who may see the books."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from store.accounts.models import User
from store.backoffice.mailing import mail_findings
from store.backoffice.models import AuditFinding, AuditRun, AuditSource
from store.backoffice.proving import ask_for_proof, due_proofs, keep, latest_runs, prove
from store.errors import PermissionDenied
from store.ledger.audit import Mismatch
from store.ledger.models import Wallet
from tests.sandboxed import Till
from tests.store.backoffice.conftest import SignedIn

pytestmark = pytest.mark.django_db


def corrupt(wallet: Wallet, nano: int) -> None:
    """What only somebody with the database in hands could do: the triggers are off."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE ledger_wallet SET posted_nano = posted_nano + %s WHERE id = %s", [nano, wallet.pk])
        cursor.execute("SET LOCAL session_replication_role = origin")


def proof(source: AuditSource = AuditSource.BOOKS) -> AuditRun:
    run = ask_for_proof(source=source)
    prove(run.pk)
    run.refresh_from_db()
    return run


def laws(**where: object) -> set[str]:
    return set(AuditFinding.objects.filter(**where).values_list("law", flat=True))


def test_right_books_have_no_findings(wallet: Wallet) -> None:
    run = proof()
    assert (run.findings, run.error, AuditFinding.objects.count()) == (0, "", 0)
    assert run.ended_at


def test_a_mismatch_is_a_finding_until_it_is_gone(wallet: Wallet) -> None:
    corrupt(wallet, 5)
    first = proof()
    assert laws(resolved_at=None) == {"posted balance", "sum of all wallets"}
    finding = AuditFinding.objects.get(law="posted balance")
    assert (finding.row, finding.expected, finding.found) == (
        f"wallet {wallet.pk}",
        str(10 * 10**9),
        str(10 * 10**9 + 5),
    )
    assert "transfer of kind correction" in finding.remedy
    second = proof()
    finding.refresh_from_db()
    assert (finding.first_run, finding.last_run, first.findings) == (first, second, 2)
    corrupt(wallet, -5)
    proof()
    assert AuditFinding.objects.filter(resolved_at=None).count() == 0
    corrupt(wallet, 5)
    proof()
    assert AuditFinding.objects.filter(law="posted balance").count() == 2


def test_an_audit_is_made_once_and_an_older_one_changes_nothing_after_a_newer() -> None:
    older, newer = ask_for_proof(source=AuditSource.BOOKS), ask_for_proof(source=AuditSource.BOOKS)
    prove(newer.pk)
    keep(older, [Mismatch(check="posted balance", row="wallet 1", expected="1", found="2", remedy="Look.")])
    assert not AuditFinding.objects.exists()
    older.refresh_from_db()
    assert older.findings == 1
    prove(older.pk)
    assert latest_runs() == [newer]


def test_an_audit_that_nobody_made_is_due(wallet: Wallet) -> None:
    run = ask_for_proof(source=AuditSource.BOOKS)
    assert due_proofs() == []
    AuditRun.objects.filter(pk=run.pk).update(started_at=timezone.now() - timedelta(hours=1))
    assert due_proofs() == [run.pk]
    prove(run.pk)
    assert due_proofs() == []


def test_stripe_is_compared_and_its_silence_is_said(till: Till, consumer: User) -> None:
    till.buy(consumer)
    run = proof(AuditSource.STRIPE)
    assert (run.findings, laws()) == (1, {"payment at Stripe"})
    till.deliver()
    assert proof(AuditSource.STRIPE).findings == 0
    assert AuditFinding.objects.filter(resolved_at=None).count() == 0


def test_those_who_may_see_the_books_are_told_once(
    wallet: Wallet, accountant: User, admin: User, consumer: User
) -> None:
    corrupt(wallet, 5)
    proof()
    assert mail_findings() == 2
    (sent,) = mail.outbox
    assert set(sent.bcc) == {accountant.email, admin.email}
    assert f"wallet {wallet.pk}" in sent.body
    assert sent.subject == "2 rows of the books do not match"
    proof()
    assert mail_findings() == 0
    assert len(mail.outbox) == 1


def test_a_proof_is_asked_for_on_a_page(accountant: User, moderator: User, wallet: Wallet, signed_in: SignedIn) -> None:
    client = signed_in(accountant)
    for name, source in (("prove_books", "books"), ("prove_stripe", "stripe")):
        address = reverse(f"admin:backoffice_auditrun_{name}")
        assert client.get(address).status_code == 200
        assert not AuditRun.objects.filter(source=source).exists()
        client.post(address)
        assert AuditRun.objects.get(source=source).asked_by == accountant
    corrupt(wallet, 5)
    prove(AuditRun.objects.get(source="books").pk)
    assert "2 rows do not match" in client.get("/admin/").content.decode()
    with pytest.raises(PermissionDenied):
        ask_for_proof(source=AuditSource.BOOKS, user=moderator)
