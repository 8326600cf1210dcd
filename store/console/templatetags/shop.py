"""What templates say amounts and digests with."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from store.console import figures
from store.ledger.dollars import dollar_parts

register = template.Library()
register.filter(figures.short_count)
register.filter(figures.short_bytes)


@register.filter
def dollars(nano: int | None) -> SafeString:
    """An amount in full, for HTML; what is beyond the cent stands back. Nothing for None."""
    if nano is None:
        return SafeString("")
    head, tail = dollar_parts(nano)
    if not tail:
        return format_html('<span class="money">{}</span>', head)
    return format_html('<span class="money">{}<wbr><span class="money-tail">{}</span></span>', head, tail)


@register.filter
def fingerprint(digest: str, height: int = 32) -> SafeString:
    """The digest drawn as bars, ``height`` pixels tall."""
    return figures.fingerprint(digest, height=height)
