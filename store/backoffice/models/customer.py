"""Organizations seen as customers."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization


class PayingCustomer(Organization):
    """An organization that has paid for something: the same row, listed in another way."""

    class Meta:
        proxy = True
        verbose_name = _("paying customer")
        verbose_name_plural = _("paying customers")
