"""Where everything of ``/api`` is. ``/api/models``, ``/api/repos`` and ``/api/whoami-v2`` belong to the Hub protocol."""

from __future__ import annotations

from typing import Any

from django.middleware.http import ConditionalGetMiddleware
from django.urls import URLPattern, path
from django.utils.decorators import decorator_from_middleware
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import GenericViewSet

from store.api.management.access import AccessViews
from store.api.management.budgets import BudgetViews
from store.api.management.conversions import ConversionViews
from store.api.management.data_imports import DataImportViews
from store.api.management.figures import AnalyticsCsvView, AnalyticsView, FigureViews, RankingView
from store.api.management.files import DataFileViews
from store.api.management.grants import GrantViews
from store.api.management.invoices import InvoiceViews
from store.api.management.keys import KeyViewSet
from store.api.management.listings import ListingViews
from store.api.management.moderation import AppealQueue, ReportQueue, ReviewQueue, StandingViews
from store.api.management.organizations import InvitationViews, MemberViews, OrganizationViews
from store.api.management.payouts import EarningsViews, PayoutViews
from store.api.management.prices import CommissionViews, PriceViews
from store.api.management.releases import ImportViews, ReleaseViews, SubmissionViews
from store.api.management.repositories import CommitViews, RefViews
from store.api.management.reviews import FavouriteViews, ReviewViews
from store.api.management.runs import RunViewSet
from store.api.management.schema import SchemaView
from store.api.management.search import CategoryView, SearchView
from store.api.management.statements import RoyaltyView, StatementFileView, StatementViews
from store.api.management.subscriptions import PlanViews, SubscriptionViews
from store.api.management.topups import AutoTopupViews, TopupViews
from store.api.management.tuning import JobViews
from store.api.management.usage import UsageView
from store.api.management.wallet import WalletView
from store.api.management.webhooks import DeliveryViews, EventTypeViews, WebhookViews

LISTING = "listings/<slug:organization>/<str:slug>"
ORGANIZATION = "organizations/<slug:slug>"
# A GET is answered with an ETag, and with 304 where the client has it already.
conditional = decorator_from_middleware(ConditionalGetMiddleware)

router = SimpleRouter(trailing_slash=False)
router.register("keys", KeyViewSet, basename="api-key")
router.register("budgets", BudgetViews, basename="api-budget")
router.register("runs", RunViewSet, basename="api-run")
router.register("payouts", PayoutViews, basename="api-payout")
router.register("subscriptions", SubscriptionViews, basename="api-subscription")
router.register("webhooks", WebhookViews, basename="api-webhook")
router.register("moderation/submissions", ReviewQueue, basename="api-review-queue")
router.register("moderation/reports", ReportQueue, basename="api-report-queue")
router.register("moderation/appeals", AppealQueue, basename="api-appeal-queue")


def _at(address: str, views: type[GenericViewSet[Any]], **methods: str) -> URLPattern:
    """The actions of a view set at an address, by HTTP method."""
    return path(address, conditional(views.as_view(dict(methods))))


urlpatterns = [
    _at("webhooks/event-types", EventTypeViews, get="list"),  # before the router, which takes every word for an id
    _at("payouts/balance", EarningsViews, get="balance"),
    _at("payouts/account", EarningsViews, get="account", post="onboard"),
    _at("payouts/schedule", EarningsViews, get="schedule", put="set_schedule"),
    *router.urls,
    _at("statements", StatementViews, get="list"),
    path("statements/<str:period>.<str:extension>", StatementFileView.as_view(), name="api-statement-file"),
    _at("statements/<str:period>", StatementViews, get="retrieve"),
    path("royalties", RoyaltyView.as_view(), name="api-royalties"),
    path("wallet", WalletView.as_view(), name="api-wallet"),
    _at("grants", GrantViews, get="list"),
    _at("grants/code", GrantViews, post="use_code"),
    _at("grants/<uuid:pk>", GrantViews, get="retrieve"),
    _at("invoices", InvoiceViews, get="list"),
    _at("invoices/<slug:number>", InvoiceViews, get="retrieve"),
    _at("invoices/<slug:number>.pdf", InvoiceViews, get="pdf"),
    _at("topups", TopupViews, get="list"),
    _at("topups/<uuid:pk>", TopupViews, get="retrieve"),
    _at("topups/<uuid:pk>/refund", TopupViews, post="refund"),
    _at("auto-topups/<slug:organization>", AutoTopupViews, get="retrieve", put="update", delete="destroy"),
    path("usage", conditional(UsageView.as_view()), name="api-usage"),
    path("schema", SchemaView.as_view(), name="api-schema"),
    path("search", SearchView.as_view(), name="api-search"),
    path("categories", CategoryView.as_view(), name="api-categories"),
    path("rankings/<str:kind>", conditional(RankingView.as_view()), name="api-rankings"),
    path("analytics.csv", AnalyticsCsvView.as_view(), name="api-analytics-csv"),
    path("analytics", AnalyticsView.as_view(), name="api-analytics"),
    _at("organizations", OrganizationViews, get="list", post="create"),
    _at(ORGANIZATION, OrganizationViews, get="retrieve", patch="partial_update"),
    _at(f"{ORGANIZATION}/members", MemberViews, get="list"),
    _at(f"{ORGANIZATION}/members/<int:pk>", MemberViews, patch="partial_update", delete="destroy"),
    _at(f"{ORGANIZATION}/members/<int:pk>/transfer", MemberViews, post="transfer"),
    _at(f"{ORGANIZATION}/invitations", InvitationViews, get="list", post="create"),
    _at(f"{ORGANIZATION}/invitations/<int:pk>", InvitationViews, delete="destroy"),
    _at("data-imports", DataImportViews, get="list", post="create"),
    _at("data-imports/<str:import_id>", DataImportViews, get="retrieve"),
    _at("data-imports/<str:import_id>/cancel", DataImportViews, post="cancel"),
    _at("files", DataFileViews, get="list", post="create"),
    _at("files/<str:file_id>", DataFileViews, get="retrieve", patch="partial_update", delete="destroy"),
    _at("files/<str:file_id>/tallies", DataFileViews, get="tallies", post="count"),
    _at("tuning/quote", JobViews, post="quote"),
    _at("tuning/jobs", JobViews, get="list", post="create"),
    _at("tuning/jobs/<str:job_id>", JobViews, get="retrieve"),
    _at("tuning/jobs/<str:job_id>/cancel", JobViews, post="cancel"),
    _at("tuning/jobs/<str:job_id>/pause", JobViews, post="pause"),
    _at("tuning/jobs/<str:job_id>/resume", JobViews, post="resume"),
    _at("tuning/jobs/<str:job_id>/events", JobViews, get="events"),
    _at("tuning/jobs/<str:job_id>/points", JobViews, get="points"),
    _at("tuning/jobs/<str:job_id>/samples", JobViews, get="samples"),
    _at("tuning/jobs/<str:job_id>/checkpoints", JobViews, get="checkpoints"),
    _at("favourites", FavouriteViews, get="list"),
    _at("webhooks/<int:webhook>/deliveries", DeliveryViews, get="list"),
    _at("webhooks/<int:webhook>/deliveries/<int:pk>", DeliveryViews, get="retrieve"),
    _at("webhooks/<int:webhook>/deliveries/<int:pk>/again", DeliveryViews, post="again"),
    _at("listings", ListingViews, get="list", post="create"),
    _at(LISTING, ListingViews, get="retrieve", patch="partial_update", delete="destroy"),
    _at(f"{LISTING}/deprecate", ListingViews, post="deprecate"),
    _at(f"{LISTING}/withdraw", ListingViews, post="withdraw"),
    _at(f"{LISTING}/republish", ListingViews, post="republish"),
    _at(f"{LISTING}/commits", CommitViews, get="list", post="create"),
    _at(f"{LISTING}/commits/<str:revision>", CommitViews, get="retrieve"),
    _at(f"{LISTING}/refs", RefViews, get="list", post="create"),
    _at(f"{LISTING}/refs/<str:kind>/<str:name>", RefViews, delete="destroy"),
    _at(f"{LISTING}/submissions", SubmissionViews, get="list", post="create"),
    _at(f"{LISTING}/submissions/<int:pk>", SubmissionViews, get="retrieve"),
    _at(f"{LISTING}/submissions/<int:pk>/publish", SubmissionViews, post="publish"),
    _at(f"{LISTING}/submissions/<int:pk>/cancel", SubmissionViews, post="cancel"),
    _at(f"{LISTING}/releases", ReleaseViews, get="list"),
    _at(f"{LISTING}/releases/<int:number>", ReleaseViews, get="retrieve"),
    _at(f"{LISTING}/imports", ImportViews, get="list", post="create"),
    _at(f"{LISTING}/imports/<int:pk>", ImportViews, get="retrieve"),
    _at(f"{LISTING}/imports/<int:pk>/cancel", ImportViews, post="cancel"),
    _at(f"{LISTING}/conversions", ConversionViews, get="list", post="create"),
    _at(f"{LISTING}/conversions/<int:pk>", ConversionViews, get="retrieve"),
    _at(f"{LISTING}/conversions/<int:pk>/cancel", ConversionViews, post="cancel"),
    _at(f"{LISTING}/prices", PriceViews, get="list", post="create"),
    _at(f"{LISTING}/prices/<int:pk>", PriceViews, delete="destroy"),
    _at(f"{LISTING}/plans", PlanViews, get="list", post="create"),
    _at(f"{LISTING}/plans/<int:pk>", PlanViews, delete="destroy"),
    _at(f"{LISTING}/commission", CommissionViews, get="retrieve"),
    _at(f"{LISTING}/access", AccessViews, get="list", post="create"),
    _at(f"{LISTING}/access/mine", AccessViews, get="mine"),
    _at(f"{LISTING}/access/<int:pk>/grant", AccessViews, post="grant"),
    _at(f"{LISTING}/access/<int:pk>/refuse", AccessViews, post="refuse"),
    _at(f"{LISTING}/access/<int:pk>/revoke", AccessViews, post="revoke"),
    _at(f"{LISTING}/service", FigureViews, get="service"),
    _at(f"{LISTING}/similar", FigureViews, get="similar"),
    _at(f"{LISTING}/lineage", FigureViews, get="family"),
    _at(f"{LISTING}/reviews", ReviewViews, get="list", post="create"),
    _at(f"{LISTING}/reviews/<int:pk>", ReviewViews, delete="destroy"),
    _at(f"{LISTING}/reviews/<int:pk>/reply", ReviewViews, post="reply"),
    _at(f"{LISTING}/reviews/<int:pk>/report", ReviewViews, post="report"),
    _at(f"{LISTING}/favourite", FavouriteViews, put="create", delete="destroy"),
    _at(f"{LISTING}/report", StandingViews, post="report"),
    _at(f"{LISTING}/suspend", StandingViews, post="suspend"),
    _at(f"{LISTING}/lift", StandingViews, post="lift"),
    _at(f"{LISTING}/decisions", StandingViews, get="list"),
    _at(f"{LISTING}/decisions/<int:pk>/appeal", StandingViews, post="appeal"),
]
