"""Budgets: list, set, change, remove."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from store.accounts.models import Organization
from store.console.context import role_in
from store.console.forms.budgets import BudgetForm, BudgetTerms
from store.console.outlook import alerts_of, budget_page, budgets_of
from store.console.pages import MemberRequest, console_page
from store.errors import StoreError
from store.keys.budgets import create_budget, remove_budget, update_budget
from store.keys.models import BUDGET_KEEPERS
from store.usage.budgets import budgets_now

MAX_DIGITS = 19  # of an id: one more is no bigint


@console_page
def budgets(request: MemberRequest, organization: Organization) -> HttpResponse:
    """The organization's budgets; of those who do not keep them, what binds what they do themselves."""
    may_keep = role_in(organization, request.user) in BUDGET_KEEPERS
    before = request.GET.get("before", "")
    cursor = int(before) if before.isascii() and before.isdigit() and len(before) < MAX_DIGITS else None
    page = budget_page(budgets_of(organization, request.user), before=cursor)
    shown = {"page": page, "budgets": page.budgets, "is_older": cursor is not None, "may_keep": may_keep}
    return render(request, "console/budgets.html", shown)


@console_page
def new_budget(request: MemberRequest, organization: Organization) -> HttpResponse:
    """Sets a budget."""
    form = BudgetForm(request.POST or None, organization=organization, initial={"spender": request.GET.get("spender")})
    if form.is_valid():
        try:
            create_budget(organization=organization, user=request.user, **form.terms())
            messages.success(request, _("The budget is set. It counts from now on."))
            return redirect("console:budgets")
        except StoreError as error:
            form.refuse(error)
    may_keep = role_in(organization, request.user) in BUDGET_KEEPERS
    shown = {"form": form, "may_keep": may_keep}
    return render(request, "console/budget_new.html", shown, status=422 if form.errors else 200)


@console_page
def budget(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """One budget: how it stands, who was told of what, and the form to change it."""
    found = get_object_or_404(budgets_of(organization, request.user), pk=pk)
    form = BudgetTerms(request.POST) if request.method == "POST" else BudgetTerms.of(found)
    if form.is_bound and form.is_valid():
        try:
            update_budget(budget=found, user=request.user, **form.terms())
            messages.success(request, _("The budget was changed. The next call goes by it."))
            return redirect("console:budget", pk=pk)
        except StoreError as error:
            form.refuse(error)
    may_keep = role_in(organization, request.user) in BUDGET_KEEPERS
    [now] = budgets_now([found])
    shown = {"now": now, "form": form, "may_keep": may_keep, "alerts": alerts_of(found)}
    return render(request, "console/budget.html", shown, status=422 if form.errors else 200)


@require_POST
@console_page
def remove(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """The end of a budget."""
    remove_budget(budget=get_object_or_404(budgets_of(organization, request.user), pk=pk), user=request.user)
    messages.success(request, _("The budget is removed."))
    return redirect("console:budgets")
