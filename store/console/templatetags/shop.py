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
register.filter(figures.percent)
register.filter(figures.share)


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
def about_dollars(nano: int) -> SafeString:
    """An estimate: to the cent, or to three digits where it is less than a dollar. More would pretend to know."""
    return dollars(figures.rounded(nano))


@register.filter
def fingerprint(digest: str, height: int = 32) -> SafeString:
    """The digest drawn as bars, ``height`` pixels tall."""
    return figures.fingerprint(digest, height=height)


@register.filter
def short_number(number: float | None) -> str:
    """A measured number; nothing for None."""
    return "" if number is None else figures.short_number(number)


@register.filter
def share_of_all(share: float | None) -> str:
    """A share of what was answered; nothing for None."""
    return "" if share is None else figures.share_of_all(share)
