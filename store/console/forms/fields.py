"""Form fields for what the store deals in: amounts and networks."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from store.keys.actions import parse_network
from store.ledger.dollars import dollars, parse_dollars

MAX_NETWORKS = 50


class DollarField(forms.CharField):
    """Dollars as a person writes them; cleaned to nano-dollars, or None where it may be empty and is."""

    is_money = True

    def __init__(self, *, min_nano: int = 0, max_nano: int | None = None, **options: Any) -> None:
        self.min_nano, self.max_nano = min_nano, max_nano
        widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
        super().__init__(**{"widget": widget, "max_length": 30, **options})

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            nano = parse_dollars(text)
        except ValueError:
            raise ValidationError(_("Write an amount of dollars, such as 12.50.")) from None
        if nano < self.min_nano or (self.max_nano is not None and nano > self.max_nano):
            raise ValidationError(self._range())
        return nano

    def prepare_value(self, value: Any) -> Any:
        return dollars(value).removeprefix("$") if isinstance(value, int) else value

    def _range(self) -> str:
        if self.max_nano is None:
            return str(_("The least is %(least)s.") % {"least": dollars(self.min_nano)})
        return str(
            _("Between %(least)s and %(most)s.") % {"least": dollars(self.min_nano), "most": dollars(self.max_nano)}
        )


class NetworksField(forms.CharField):
    """Addresses or networks (CIDR), one a line; cleaned to a list of strings in their usual form."""

    widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "placeholder": "203.0.113.0/24"})

    def clean(self, value: Any) -> Any:
        lines = [line.strip() for line in super().clean(value).replace(",", "\n").splitlines() if line.strip()]
        if len(lines) > MAX_NETWORKS:
            raise ValidationError(_("At most %(most)d networks.") % {"most": MAX_NETWORKS})
        return [self._network(line) for line in lines]

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    @staticmethod
    def _network(line: str) -> str:
        try:
            return str(parse_network(line))
        except ValueError:
            raise ValidationError(
                _("%(line)s is neither an address nor a network such as 203.0.113.0/24.") % {"line": line}
            ) from None
