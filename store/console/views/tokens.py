"""Access tokens: for the Hub's tools and the API under /api."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.db.models import F
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from store.accounts.models import AccessToken, Organization, TokenScope
from store.accounts.tokens import issue_token, revoke_token
from store.console.forms.tokens import TokenForm
from store.console.pages import MemberRequest, console_page
from store.errors import StoreError

EXPORTS = "export HF_ENDPOINT={url}\nexport HF_HUB_DISABLE_XET=1\nexport HF_TOKEN={secret}"


@console_page
def tokens(request: MemberRequest, organization: Organization) -> HttpResponse:
    """One's own tokens, and a new one, whose secret is the answer to the form and never shown again."""
    wanted = [scope for scope in request.GET.getlist("scope") if scope in TokenScope.values]
    form = TokenForm(request.POST or None, initial={"scopes": wanted or [TokenScope.READ]})
    if form.is_valid():
        try:
            issued = issue_token(user=request.user, **form.terms())
            exports = EXPORTS.format(url=settings.PUBLIC_URL, secret=issued.secret)
            shown = {"token": issued.token, "secret": issued.secret, "exports": exports}
            return render(request, "console/token_secret.html", shown)
        except StoreError as error:
            form.refuse(error)
    mine = AccessToken.objects.filter(user=request.user, revoked_at=None)
    shown = {"form": form, "tokens": mine.order_by(F("last_used_at").desc(nulls_last=True), "-pk")}
    return render(request, "console/tokens.html", shown, status=422 if form.errors else 200)


@require_POST
@console_page
def revoke(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """The end of a token."""
    found = get_object_or_404(AccessToken, user=request.user, pk=pk)
    revoke_token(token=found)
    messages.success(request, _("The token %(prefix)s is revoked.") % {"prefix": found.prefix})
    return redirect("console:tokens")
