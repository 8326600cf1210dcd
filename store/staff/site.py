"""The admin site: who may open it. Sign-in is allauth's, so its rate limits and second factors hold here too."""

# mypy: disallow-subclassing-any=False
# (the packages subclassed here come without types)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.mfa.utils import is_mfa_enabled
from csp.decorators import csp_update
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from unfold.sites import UnfoldAdminSite

View = Callable[..., HttpResponseBase]


class StaffSite(UnfoldAdminSite):
    """Open to staff who have set up a second factor."""

    def has_permission(self, request: HttpRequest) -> bool:
        return bool(super().has_permission(request)) and is_mfa_enabled(request.user)

    @method_decorator(secure_admin_login)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        """Comes here signed in and staff (others were sent to allauth, or refused): what can lack is the second factor."""
        if not is_mfa_enabled(request.user):
            messages.warning(
                request, _("The admin needs two-factor sign-in. Set up an authenticator app or a passkey first.")
            )
            return redirect("mfa_index")
        return redirect("admin:index")

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        relaxed = csp_update(settings.ADMIN_CONTENT_SECURITY_POLICY)
        return relaxed(super().admin_view(view, cacheable))
