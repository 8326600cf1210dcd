"""The forms of what people who run the store can do: each becomes a wish. Shapes only; the verbs know the rules."""

from __future__ import annotations

from typing import Any, ClassVar, Final
from uuid import UUID

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget
from uuid_utils.compat import uuid7

from store.accounts.models import Organization
from store.backoffice.actions import Wish
from store.backoffice.actions.permission import MAX_REASON
from store.backoffice.models import ActionKind
from store.billing.grants import MAX_DAYS
from store.billing.grants import MAX_REASON as MAX_NOTE
from store.ledger.actions import store_wallet, wallet_of
from store.ledger.dollars import parse_dollars
from store.ledger.models import Wallet, WalletKind

OF_THE_STORE: Final = (WalletKind.PLATFORM, WalletKind.TAX, WalletKind.BANK, WalletKind.TEST_BANK)


class DollarsField(forms.CharField):
    """Dollars as a person writes them; cleaned to nano-dollars."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            return parse_dollars(text)
        except ValueError:
            raise forms.ValidationError(_("Write an amount of dollars, such as 12.50.")) from None


class OrganizationField(forms.CharField):
    """The name of an organization, as in its models' names; cleaned to the organization, or None where it may be empty and is."""

    def clean(self, value: Any) -> Any:
        slug = super().clean(value).strip()
        if not slug:
            return None
        found = Organization.objects.filter(slug=slug).first()
        if found is None:
            raise forms.ValidationError(_("There is no organization of this name."))
        return found


def _text(**attrs: str) -> Any:
    return UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false", **attrs})


class AskForm(forms.Form):
    """What every action has: an id, so that a form sent twice is one wish, and a reason."""

    kind: ClassVar[ActionKind]

    id = forms.UUIDField(widget=forms.HiddenInput, initial=uuid7)
    reason = forms.CharField(
        label=_("Reason"), max_length=MAX_REASON, help_text=_("Stays in the trail for ever. Customers do not see it."),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )  # fmt: skip

    def wish(self) -> Wish:
        """What is asked for. Of a valid form only."""
        said = self.cleaned_data
        id: UUID = said["id"]
        return Wish(
            kind=self.kind, id=id, reason=said["reason"], organization=said.get("organization"), amount_nano=said.get("amount"),
            days=said.get("days"), note=said.get("note", ""),
        )  # fmt: skip


class OrganizationForm(AskForm):
    organization = OrganizationField(label=_("Organization"), max_length=40, widget=_text(placeholder="acme"))
    field_order: tuple[str, ...] = ("organization", "amount", "reason")


class GrantForm(OrganizationForm):
    kind = ActionKind.GRANT
    amount = DollarsField(
        label=_("Amount in dollars"), max_length=30, widget=_text(inputmode="decimal"), help_text=_("The platform pays."),
    )  # fmt: skip
    days = forms.IntegerField(
        label=_("Days that it can be spent"), min_value=1, max_value=MAX_DAYS, initial=365, widget=_text(inputmode="numeric"),
    )  # fmt: skip
    note = forms.CharField(
        label=_("What the organization reads"), max_length=MAX_NOTE, initial=_("Credit from the store"), widget=_text(),
    )  # fmt: skip
    field_order = ("organization", "amount", "days", "note", "reason")


class FreezeSpendingForm(OrganizationForm):
    kind = ActionKind.FREEZE_SPENDING


class LiftSpendingForm(OrganizationForm):
    kind = ActionKind.LIFT_SPENDING


class FreezePayoutsForm(OrganizationForm):
    kind = ActionKind.FREEZE_PAYOUTS


class LiftPayoutsForm(OrganizationForm):
    kind = ActionKind.LIFT_PAYOUTS


class PayoutForm(OrganizationForm):
    kind = ActionKind.PAYOUT


class AdjustForm(AskForm):
    """A correction: from one wallet to another, each named by whose and what it is."""

    kind = ActionKind.ADJUST
    debit_kind = forms.ChoiceField(label=_("From"), choices=WalletKind.choices, widget=UnfoldAdminSelectWidget)
    debit_of = OrganizationField(
        label=_("Whose wallet"),
        required=False,
        max_length=40,
        help_text=_("The name of an organization; empty for the store's own."),
        widget=_text(),
    )
    credit_kind = forms.ChoiceField(label=_("To"), choices=WalletKind.choices, widget=UnfoldAdminSelectWidget)
    credit_of = OrganizationField(label=_("Whose wallet"), required=False, max_length=40, help_text=_("The name of an organization; empty for the store's own."), widget=_text())  # fmt: skip
    amount = DollarsField(label=_("Amount in dollars"), max_length=30, widget=_text(inputmode="decimal"))
    field_order = ("debit_kind", "debit_of", "credit_kind", "credit_of", "amount", "reason")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        for side in ("debit", "credit"):
            is_own, of = cleaned.get(f"{side}_kind") in OF_THE_STORE, cleaned.get(f"{side}_of")
            if f"{side}_of" in cleaned and is_own != (of is None):
                words = _("This wallet is the store's own.") if is_own else _("Whose wallet?")
                self.add_error(f"{side}_of", words)
        return cleaned

    def wish(self) -> Wish:
        said = self.cleaned_data
        debit, credit = self._wallet("debit"), self._wallet("credit")
        return Wish(
            kind=self.kind, id=said["id"], reason=said["reason"], amount_nano=said["amount"], debit=debit, credit=credit,
            organization=said["debit_of"] or said["credit_of"],
        )  # fmt: skip

    def _wallet(self, side: str) -> Wallet:
        kind, of = WalletKind(self.cleaned_data[f"{side}_kind"]), self.cleaned_data[f"{side}_of"]
        return wallet_of(of.pk, kind) if of else store_wallet(kind)


FORMS: Final[dict[ActionKind, type[AskForm]]] = {
    form.kind: form
    for form in (
        GrantForm,
        AdjustForm,
        FreezeSpendingForm,
        LiftSpendingForm,
        FreezePayoutsForm,
        LiftPayoutsForm,
        PayoutForm,
    )
}
