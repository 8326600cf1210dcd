"""How the admin looks: what django-unfold reads as the setting UNFOLD."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static
from django.utils.translation import gettext_lazy as _

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": _("GPT Store"),
    "SITE_HEADER": _("GPT Store"),
    "SITE_SUBHEADER": _("For the people who run it"),
    "SITE_SYMBOL": "storefront",
    "SITE_URL": "/",
    "SHOW_HISTORY": True,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("favicon.svg")}],
    "BORDER_RADIUS": "8px",
    "COLORS": {
        "primary": {
            "50": "oklch(97% .018 165)",
            "100": "oklch(94% .035 165)",
            "200": "oklch(89% .065 164)",
            "300": "oklch(82% .105 164)",
            "400": "oklch(74% .135 163)",
            "500": "oklch(63% .135 163)",
            "600": "oklch(52% .118 162)",
            "700": "oklch(45% .102 162)",
            "800": "oklch(38% .084 163)",
            "900": "oklch(32% .068 164)",
            "950": "oklch(24% .05 166)",
        }
    },
    "DASHBOARD_CALLBACK": "store.backoffice.dashboard.dashboard",
    "SIDEBAR": {"show_search": True, "show_all_applications": True},
}
