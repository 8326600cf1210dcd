"""Forms of organizations and who belongs to them. Shape only: ``accounts.members`` and ``accounts.invitations`` have the rules."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from store.accounts.members import MAX_NAME
from store.accounts.models import Role
from store.accounts.slugs import SLUG_LENGTH
from store.errors import StoreError

ROLE_WORDS = {
    Role.OWNER: _("Everything, and who else is an owner"),
    Role.ADMIN: _("Members, models, keys and money"),
    Role.BILLING: _("Buys credit, sees usage and statements"),
    Role.DEVELOPER: _("Makes keys, calls and publishes models"),
    Role.VIEWER: _("Looks, and changes nothing"),
}


def given_by(own: Role) -> list[tuple[str, Any]]:
    """The roles that a member of this role may give."""
    return [(role.value, role.label) for role in ROLE_WORDS if role != Role.OWNER or own == role]


class _Refusable(forms.Form):
    def refuse(self, error: StoreError) -> None:
        """Shows what the verb refused, at the field if it names one."""
        self.add_error(error.param if error.param in self.fields else None, error.message)


class InviteForm(_Refusable):
    email = forms.EmailField(label=_("E-mail address"), widget=forms.EmailInput(attrs={"autocomplete": "off"}))
    role = forms.ChoiceField(label=_("Role"), initial=Role.DEVELOPER)

    def __init__(self, *args: Any, own: Role, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["role"].choices = [  # type: ignore[attr-defined]
            (value, f"{label}: {ROLE_WORDS[Role(value)]}") for value, label in given_by(own)
        ]


class OrganizationForm(_Refusable):
    slug = forms.CharField(
        label=_("Name"),
        max_length=SLUG_LENGTH,
        help_text=_("The first half of every model's name, as in acme/bard. It cannot be changed later."),
        widget=forms.TextInput(attrs={"autocapitalize": "none", "autocomplete": "off", "spellcheck": "false"}),
    )
    name = forms.CharField(label=_("Display name"), max_length=MAX_NAME, required=False)
