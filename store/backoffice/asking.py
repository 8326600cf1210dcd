"""The forms of what people who run the store can do: each becomes a wish. Shapes only; the verbs know the rules."""

from __future__ import annotations

from typing import Any, ClassVar, Final
from uuid import UUID

from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)
from uuid_utils.compat import uuid7

from store.accounts.models import Organization
from store.backoffice.actions import Wish
from store.backoffice.actions.permission import MAX_REASON
from store.backoffice.models import ActionKind
from store.billing.grants import MAX_DAYS
from store.billing.grants import MAX_REASON as MAX_NOTE
from store.billing.models import PromoCode, Topup
from store.billing.promo import CodeTerms
from store.ledger.actions import store_wallet, wallet_of
from store.ledger.dollars import dollars, parse_dollars
from store.ledger.models import Wallet, WalletKind
from store.payouts.models import Payout

OF_THE_STORE: Final = (WalletKind.PLATFORM, WalletKind.TAX, WalletKind.BANK, WalletKind.TEST_BANK)
MAX_USES, MAX_USES_OF_ONE = 2**31 - 1, 2**15 - 1  # what the columns hold


class DollarsField(forms.CharField):
    """Dollars as a person writes them; cleaned to nano-dollars, or None where it may be empty and is."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
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


class TopupField(forms.UUIDField):
    """The id of a payment; cleaned to the payment."""

    def clean(self, value: Any) -> Any:
        found = Topup.objects.select_related("organization").filter(pk=super().clean(value)).first()
        if found is None:
            raise forms.ValidationError(_("There is no payment with this id."))
        return found


class PayoutField(forms.UUIDField):
    """The id of a payout; cleaned to the payout."""

    def clean(self, value: Any) -> Any:
        found = Payout.objects.select_related("organization").filter(pk=super().clean(value)).first()
        if found is None:
            raise forms.ValidationError(_("There is no payout with this id."))
        return found


class CodeField(forms.CharField):
    """The word of a promo code, or the number of its row; cleaned to the code."""

    def clean(self, value: Any) -> Any:
        word = super().clean(value).strip()
        found = PromoCode.objects.filter(Q(code=word.upper()) | Q(pk=word if word.isdecimal() else None)).first()
        if found is None:
            raise forms.ValidationError(_("There is no code like this."))
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
            days=said.get("days"), note=said.get("note", ""), topup=said.get("topup"), payout=said.get("payout"), of_spent=said.get("of_spent", False),
        )  # fmt: skip

    def fix(self, wish: Wish) -> None:
        """Writes the amount that was left open into what is sent with the confirmation: that is done, or nothing."""
        if "amount" in self.fields and self.cleaned_data["amount"] is None and wish.amount_nano is not None:
            self.data = {name: self.data[name] for name in self.data} | {"amount": dollars(wish.amount_nano)}


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


class RetryPayoutForm(AskForm):
    kind = ActionKind.RETRY_PAYOUT
    payout = PayoutField(label=_("Payout"), widget=_text(), help_text=_("The id of one that has not arrived."))
    field_order = ("payout", "reason")


class ReleaseForm(OrganizationForm):
    kind = ActionKind.RELEASE_HOLD_BACK


class RefundForm(AskForm):
    kind = ActionKind.REFUND
    topup = TopupField(label=_("Payment"), widget=_text(), help_text=_("The id of the top-up, as its page shows it."))
    amount = DollarsField(
        label=_("Amount in dollars, tax in it"), max_length=30, required=False, widget=_text(inputmode="decimal"),
        help_text=_("Empty: all that is not spent."),
    )  # fmt: skip
    of_spent = forms.BooleanField(
        label=_("Of spent credit, too"), required=False, widget=UnfoldBooleanWidget, help_text=_("The platform bears it."),
    )  # fmt: skip
    field_order = ("topup", "amount", "of_spent", "reason")


class PromoCodeForm(AskForm):
    """An amount, or a percentage with or without a most."""

    kind = ActionKind.PROMO_CODE
    code = forms.CharField(label=_("Code"), max_length=40, widget=_text(placeholder="SPRING"))
    gives = DollarsField(
        label=_("Gives dollars"), max_length=30, required=False, widget=_text(inputmode="decimal"),
        help_text=_("Or leave it empty and give a percentage of a top-up."),
    )  # fmt: skip
    percent = forms.IntegerField(label=_("Gives percent"), required=False, widget=_text(inputmode="numeric"))
    most = DollarsField(
        label=_("At most dollars"), max_length=30, required=False, widget=_text(inputmode="decimal"), help_text=_("Of a percentage."),
    )  # fmt: skip
    lives_days = forms.IntegerField(
        label=_("Days that the credit can be spent"), min_value=1, max_value=MAX_DAYS, initial=90, widget=_text(inputmode="numeric"),
    )  # fmt: skip
    total_limit = forms.IntegerField(
        label=_("Uses in all"), min_value=1, max_value=MAX_USES, required=False, widget=_text(inputmode="numeric"),
        help_text=_("Empty: no limit, and always a second person."),
    )  # fmt: skip
    organization_limit = forms.IntegerField(
        label=_("Uses of one organization"), min_value=1, max_value=MAX_USES_OF_ONE, initial=1, widget=_text(inputmode="numeric"),
    )  # fmt: skip
    first_topup_only = forms.BooleanField(
        label=_("With the first top-up only"), required=False, widget=UnfoldBooleanWidget
    )
    ends_at = forms.DateTimeField(label=_("Ends (UTC)"), required=False, widget=_text(type="datetime-local"))
    field_order = (
        "code", "gives", "percent", "most", "lives_days", "total_limit", "organization_limit", "first_topup_only", "ends_at", "reason",
    )  # fmt: skip

    def wish(self) -> Wish:
        said = self.cleaned_data
        same = ("percent", "lives_days", "total_limit", "organization_limit", "first_topup_only", "ends_at")
        terms = CodeTerms(
            code=said["code"].strip().upper(), amount_nano=said["gives"], most_nano=said["most"], **{name: said[name] for name in same}
        )  # fmt: skip
        return Wish(kind=self.kind, id=said["id"], reason=said["reason"], code_terms=terms)


class EndCodeForm(AskForm):
    kind = ActionKind.END_CODE
    code = CodeField(label=_("Code"), max_length=40, widget=_text())
    field_order = ("code", "reason")

    def wish(self) -> Wish:
        said = self.cleaned_data
        return Wish(kind=self.kind, id=said["id"], reason=said["reason"], code=said["code"])


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
        RefundForm,
        PromoCodeForm,
        EndCodeForm,
        FreezeSpendingForm,
        LiftSpendingForm,
        FreezePayoutsForm,
        LiftPayoutsForm,
        PayoutForm,
        RetryPayoutForm,
        ReleaseForm,
    )
}
