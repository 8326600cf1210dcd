"""What the people who run the store see first."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from store.accounts.models import User
from store.backoffice.actions.permission import SEE_BOOKS, may
from store.backoffice.figures import moves, payments, sales
from store.backoffice.forms import DashboardForm
from store.backoffice.proving import latest_runs
from store.backoffice.ranks import listings
from store.backoffice.series import charts
from store.backoffice.standing import holds, owed, payouts, waiting
from store.backoffice.trade import trade


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """unfold's DASHBOARD_CALLBACK: the figures, for those who may see the books; for others the list of what they may open."""
    user = request.user
    if not isinstance(user, User) or not may(user, SEE_BOOKS):
        return context
    form = DashboardForm(_chosen(request))
    period, money = form.chosen(), form.money_chosen()
    moved = moves(period)
    traded = trade(period)
    return context | {
        "form": form,
        "period": period,
        "groups": [
            (_("Sales"), sales(moved, period)),
            (_("Payments and corrections"), payments(moved, period, money)),
            (_("Customers"), traded.customers),
            (_("Owed now"), owed()),
            (_("Held now"), holds()),
            (_("Payouts"), payouts(period)),
            (_("To look at"), waiting(money)),
        ],
        "charts": charts(moved, period, money),
        "ranks": [
            (_("Models"), listings(period)),
            (_("Providers"), traded.providers),
            (_("Consumers"), traded.consumers),
        ],
        "audits": latest_runs(),
    }


def _chosen(request: HttpRequest) -> Any:
    """What was chosen; None where nothing was, so that nothing is wrong with it."""
    return request.GET if request.GET.keys() & {"period", "money"} else None
