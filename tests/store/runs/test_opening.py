"""Nothing runs before its worst case is held, against every cap at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from uuid_utils.compat import uuid7

from store.accounts.models import User
from store.catalog.models import Listing, ListingStatus, Price
from store.errors import StoreError
from store.keys.actions import IssuedKey, revoke_key, update_key
from store.keys.grants import InvalidKey
from store.keys.models import ApiKey, BudgetUse, KeyUse, Period
from store.ledger.actions import store_wallet, transfer
from store.ledger.models import Hold, Transfer, TransferKind, Wallet, WalletKind
from store.runs.actions import open_runs
from store.runs.books import BudgetExceeded, InsufficientCredit, ModelNotFound, OpenedRun, OpenRun, TooManyParallel
from store.runs.models import Run, RunStatus
from tests.conftest import make_listing
from tests.store.runs.conftest import RequestMaker

pytestmark = pytest.mark.django_db

WORST_NANO = 30_000  # of one request of request_of: 100 x 100 + 50 x 400


def open_one(request: OpenRun, *, at: datetime | None = None) -> OpenedRun:
    (answer,) = open_runs([request], at=at)
    assert isinstance(answer, OpenedRun), answer
    return answer


def refusals(requests: list[OpenRun], *, at: datetime | None = None) -> list[type[StoreError] | None]:
    return [type(answer) if isinstance(answer, StoreError) else None for answer in open_runs(requests, at=at)]


def leave(wallet: Wallet, amount_nano: int) -> None:
    """Spends all of the wallet but ``amount_nano``."""
    wallet.refresh_from_db()
    platform_id = store_wallet(WalletKind.PLATFORM).id
    spent = wallet.available_nano - amount_nano
    transfer(key=str(uuid7()), debit_id=wallet.id, credit_id=platform_id, amount_nano=spent, kind=TransferKind.GRANT)


def test_an_opened_run_is_a_row_with_its_worst_case_held(
    request_of: RequestMaker, wallet: Wallet, listing: Listing
) -> None:
    request = request_of(is_stream=True)
    opened = open_one(request)
    assert (opened.max_tokens, opened.held_nano) == (50, WORST_NANO)
    run = Run.objects.get(pk=request.run_id)
    assert (run.status, run.max_tokens, run.is_stream, run.commission_ppm) == (RunStatus.OPEN, 50, True, 150_000)
    assert run.price == Price.objects.get(listing=listing)
    assert (run.hold.wallet, run.hold.amount_nano) == (wallet, WORST_NANO)
    assert run.hold.expires_at > timezone.now() + timedelta(seconds=600)
    wallet.refresh_from_db()
    assert (wallet.posted_nano, wallet.held_nano) == (10 * 10**9, WORST_NANO)
    assert KeyUse.objects.get().open_runs == 1


def test_a_balance_for_seven_serves_exactly_seven_of_ten(request_of: RequestMaker, wallet: Wallet) -> None:
    leave(wallet, 7 * WORST_NANO)
    assert refusals([request_of() for _ in range(10)]) == [None] * 7 + [InsufficientCredit] * 3
    wallet.refresh_from_db()
    assert wallet.available_nano == 0


def test_one_unit_less_serves_six(request_of: RequestMaker, wallet: Wallet) -> None:
    leave(wallet, 7 * WORST_NANO - 1)
    assert refusals([request_of() for _ in range(10)]) == [None] * 6 + [InsufficientCredit] * 4


def test_a_refused_request_leaves_nothing_behind(request_of: RequestMaker, wallet: Wallet) -> None:
    leave(wallet, 0)
    assert refusals([request_of()]) == [InsufficientCredit]
    assert not Run.objects.exists()
    assert not Hold.objects.exists()


def test_without_max_tokens_the_balance_sets_the_limit(request_of: RequestMaker, wallet: Wallet) -> None:
    leave(wallet, 10_000 + 7 * 400 + 399)
    opened = open_one(request_of(max_tokens=None))
    assert (opened.max_tokens, opened.held_nano) == (7, 12_800)
    assert refusals([request_of(max_tokens=None)]) == [InsufficientCredit]


def test_without_max_tokens_the_context_is_the_most(request_of: RequestMaker) -> None:
    assert open_one(request_of(max_tokens=None)).max_tokens == 412
    assert open_one(request_of(max_tokens=10**6)).max_tokens == 412


def test_at_least_one_token_must_be_affordable(request_of: RequestMaker, wallet: Wallet) -> None:
    leave(wallet, 10_399)
    assert refusals([request_of(max_tokens=None)]) == [InsufficientCredit]


def test_a_budget_can_be_the_tightest_cap(
    request_of: RequestMaker, issued_key: IssuedKey, consumer: User, listing: Listing
) -> None:
    update_key(
        api_key=issued_key.api_key,
        user=consumer,
        name="x",
        listings=[listing],
        budgets=[(None, Period.MONTH, 10**9), (listing, Period.DAY, 10_000 + 9 * 400)],
    )
    assert open_one(request_of(max_tokens=None)).max_tokens == 9
    assert refusals([request_of(max_tokens=None), request_of()]) == [BudgetExceeded] * 2
    assert set(BudgetUse.objects.values_list("used_nano", flat=True)) == {13_600}


def test_a_budget_on_one_model_leaves_the_others_alone(
    request_of: RequestMaker, issued_key: IssuedKey, consumer: User, listing: Listing, provider: User
) -> None:
    other = make_listing(provider.personal_organization, "other")
    update_key(
        api_key=issued_key.api_key,
        user=consumer,
        name="x",
        listings=[listing, other],
        budgets=[(listing, Period.TOTAL, 0)],
    )
    assert refusals([request_of(), request_of(listing_id=other.id, release_id=other.current_release_id)]) == [
        BudgetExceeded,
        None,
    ]


@pytest.mark.parametrize(
    ("period", "first", "second", "is_new"),
    [
        (Period.DAY, "2026-03-31 23:59:59.999999", "2026-04-01 00:00:00", True),
        (Period.DAY, "2026-03-31 00:00:00", "2026-03-31 23:59:59.999999", False),
        (Period.MONTH, "2026-03-31 23:59:59.999999", "2026-04-01 00:00:00", True),
        (Period.MONTH, "2026-02-01 00:00:00", "2026-02-28 23:59:59.999999", False),
        (Period.MONTH, "2026-12-31 23:59:59", "2027-01-01 00:00:00", True),
        (Period.TOTAL, "2026-12-31 23:59:59", "2036-01-01 00:00:00", False),
    ],
)
def test_a_budget_begins_anew_with_its_period_in_utc(
    request_of: RequestMaker,
    issued_key: IssuedKey,
    consumer: User,
    listing: Listing,
    period: Period,
    first: str,
    second: str,
    is_new: bool,
) -> None:
    update_key(
        api_key=issued_key.api_key, user=consumer, name="x", listings=[listing], budgets=[(None, period, WORST_NANO)]
    )
    times = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (first, second)]
    open_one(request_of(), at=times[0])
    assert refusals([request_of()], at=times[0]) == [BudgetExceeded]
    assert refusals([request_of()], at=times[1]) == [None if is_new else BudgetExceeded]


def test_a_key_has_as_many_runs_open_as_it_may(request_of: RequestMaker) -> None:
    ApiKey.objects.update(max_parallel=2)
    open_one(request_of())
    answers = open_runs([request_of() for _ in range(3)])
    assert isinstance(answers[0], OpenedRun)
    assert [type(answer) for answer in answers[1:]] == [TooManyParallel] * 2
    assert isinstance(answers[1], TooManyParallel)
    assert answers[1].retry_after_s == 1
    assert KeyUse.objects.get().open_runs == 2


def test_a_dead_key_opens_nothing_whatever_a_cache_says(
    request_of: RequestMaker, issued_key: IssuedKey, consumer: User, stranger: User
) -> None:
    assert refusals([request_of(organization_id=stranger.personal_organization.id)]) == [InvalidKey]
    assert refusals([request_of(api_key_id=10**6)]) == [InvalidKey]
    ApiKey.objects.update(expires_at=timezone.now())
    assert refusals([request_of()]) == [InvalidKey]
    ApiKey.objects.update(expires_at=None)
    revoke_key(api_key=issued_key.api_key, user=consumer)
    assert refusals([request_of()]) == [InvalidKey]


@pytest.mark.parametrize(
    ("field", "value", "callable_"),
    [
        ("status", ListingStatus.DEPRECATED, True),
        ("status", ListingStatus.WITHDRAWN, False),
        ("status", ListingStatus.SUSPENDED, False),
        ("status", ListingStatus.DRAFT, False),
        ("is_private", True, False),
    ],
)
def test_what_is_not_for_sale_at_this_moment_is_not_opened(
    request_of: RequestMaker, listing: Listing, field: str, value: object, callable_: bool
) -> None:
    Listing.objects.filter(pk=listing.pk).update(**{field: value})
    assert refusals([request_of()]) == [None if callable_ else ModelNotFound]


def test_another_listings_release_or_a_listing_without_a_price_is_not_opened(
    request_of: RequestMaker, provider: User
) -> None:
    other = make_listing(provider.personal_organization, "other")
    priceless = Listing.objects.create(
        organization=provider.personal_organization, slug="priceless", status=ListingStatus.PUBLISHED, licence="mit"
    )
    assert refusals([request_of(release_id=other.current_release_id)]) == [ModelNotFound]
    assert refusals([request_of(listing_id=priceless.id)]) == [ModelNotFound]


def test_the_price_is_the_one_in_force(request_of: RequestMaker, listing: Listing) -> None:
    now = timezone.now()
    for starts_at, output_nano in ((now - timedelta(days=1), 10**6), (now + timedelta(days=1), 10**9)):
        Price.objects.create(
            listing=listing, input_nano=0, cached_input_nano=0, output_nano=output_nano, starts_at=starts_at
        )
    assert open_one(request_of()).held_nano == WORST_NANO
    newest = Price.objects.create(listing=listing, input_nano=0, cached_input_nano=0, output_nano=10**6, request_nano=5)
    opened = open_one(request_of())
    assert opened.held_nano == 55
    assert Run.objects.get(pk=opened.run_id).price == newest


def test_a_free_model_needs_no_credit(provider: User, request_of: RequestMaker, stranger: User) -> None:
    free = make_listing(provider.personal_organization, "free", input_nano=0, output_nano=0)
    request = request_of(
        organization_id=stranger.personal_organization.id,
        api_key_id=None,
        user_id=stranger.id,
        listing_id=free.id,
        release_id=free.current_release_id,
        max_tokens=None,
    )
    opened = open_one(request)
    assert (opened.max_tokens, opened.held_nano) == (412, 0)
    assert not Transfer.objects.filter(kind=TransferKind.USAGE).exists()


def test_a_worst_case_beyond_every_number_is_refused_like_any_other(request_of: RequestMaker, listing: Listing) -> None:
    Price.objects.create(listing=listing, input_nano=2**63 - 1, cached_input_nano=0, output_nano=2**63 - 1)
    assert refusals([request_of(prompt_tokens=2**31 - 1, context_left=2**31 - 1, max_tokens=2**31 - 1)]) == [
        InsufficientCredit
    ]
