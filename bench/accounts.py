"""A store full of customers, made fast, for measurements that begin where a customer calls."""

from __future__ import annotations

from store.accounts.models import Membership, Organization, Role, User
from store.catalog.models import Listing, ListingStatus, Price, Release
from store.keys.actions import BudgetSpec, issue_key
from store.keys.models import Period
from store.ledger.actions import NewTransfer, ensure_wallets, store_wallet, transfer_all
from store.ledger.models import TransferKind, Wallet, WalletKind


def make_listing() -> Listing:
    """A published listing of a release that has no files, at $0.10 a million tokens in and $0.40 out."""
    owner = Organization.objects.create(slug="seller", name="Seller")
    listing = Listing.objects.create(organization=owner, slug="bard", title="Bard", licence="apache-2.0")
    listing.current_release = Release.objects.create(
        listing=listing,
        number=1,
        digest="sha256:" + "0" * 64,
        size=1,
        architecture="GPT2LMHeadModel",
        parameters=1,
        context_length=512,
        vocab_size=256,
    )
    listing.status = ListingStatus.PUBLISHED
    listing.save()
    Price.objects.create(listing=listing, input_nano=100_000_000, cached_input_nano=50_000_000, output_nano=400_000_000)
    return listing


def make_accounts(count: int, *, credit_nano: int, budget_nano: int = 0) -> list[tuple[int, int, int, int]]:
    """(organization, key, listing, release) ids of ``count`` organizations with credit, and a key each."""
    listing = make_listing()
    user = User.objects.create_user("buyer@example.com")
    owners = Organization.objects.bulk_create(
        [Organization(slug=f"buyer-{n}", name=f"Buyer {n}") for n in range(count)]
    )
    Membership.objects.bulk_create([Membership(organization=owner, user=user, role=Role.OWNER) for owner in owners])
    ids = [owner.id for owner in owners]
    ensure_wallets(ids, WalletKind.CREDIT)
    bank_id = store_wallet(WalletKind.TEST_BANK).id
    wallets = dict(Wallet.objects.filter(organization_id__in=ids).values_list("organization_id", "id"))
    transfer_all(
        [
            NewTransfer(
                key=f"grant:{owner_id}",
                debit_id=bank_id,
                credit_id=wallets[owner_id],
                amount_nano=credit_nano,
                kind=TransferKind.GRANT,
            )
            for owner_id in ids
        ]
    )
    budgets: list[BudgetSpec] = []
    if budget_nano:
        budgets = [(None, Period.DAY, budget_nano), (listing, Period.TOTAL, budget_nano)]
    keys = [
        issue_key(organization=owner, user=user, name="bench", listings=[listing], budgets=budgets).api_key
        for owner in owners
    ]
    return [(key.organization_id, key.id, listing.id, listing.current_release_id or 0) for key in keys]
