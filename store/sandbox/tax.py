"""Tax as the sandbox works it out: a rate for each country, nothing for others, nothing for businesses that show a tax id ("reverse charge").

Stripe Tax knows places, products and registrations; this is enough to see the money go its way.
"""

from __future__ import annotations

PPM = 1_000_000
RATES_PPM = {
    "AT": 200_000, "AU": 100_000, "BE": 210_000, "CH": 81_000, "CZ": 210_000, "DE": 190_000, "DK": 250_000, "ES": 210_000, "FI": 255_000,
    "FR": 200_000, "GB": 200_000, "GR": 240_000, "IE": 230_000, "IN": 180_000, "IT": 220_000, "JP": 100_000, "NL": 210_000, "NO": 250_000,
    "NZ": 150_000, "PL": 230_000, "PT": 230_000, "SE": 250_000, "SG": 90_000, "ZA": 150_000,
}  # fmt: skip


def tax_cents(net_cents: int, *, country: str, tax_id: str = "") -> int:
    """What comes on top, rounded half up."""
    if tax_id:
        return 0
    return (net_cents * RATES_PPM.get(country, 0) + PPM // 2) // PPM
