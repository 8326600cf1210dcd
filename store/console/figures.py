"""Numbers and digests as people read them."""

from __future__ import annotations

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

NANO_PER_DOLLAR, NANO_PER_CENT = 1_000_000_000, 10_000_000
THOUSANDS = ((1_000_000_000_000, "T"), (1_000_000_000, "B"), (1_000_000, "M"), (1_000, "K"))
BYTES = ((1 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB"))
BARS, BAR_HEIGHT, BAR_STEP, BAR_WIDTH, LOWEST = 16, 32, 4, 2, 4


def short_count(number: int) -> str:
    """35,192,064 is ``35.2M``."""
    return _short(number, THOUSANDS, "")


def short_bytes(size: int) -> str:
    """30,000,000 is ``28.6 MB``."""
    return _short(size, BYTES, " ") if size >= BYTES[-1][0] else f"{size} B"


def short_number(number: float) -> str:
    """A measured number with three digits that mean something: 1234.5 is ``1,235``, 84.31 is ``84.3``, 0.5123 is ``0.512``."""
    digits = 0 if abs(number) >= 100 else 1 if abs(number) >= 10 else 2 if abs(number) >= 1 else 3
    text = f"{number:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rounded(nano: int) -> int:
    """Nano-dollars to the cent; of less than a dollar its first three digits."""
    unit = NANO_PER_CENT if nano >= NANO_PER_DOLLAR else 10 ** max(len(str(nano)) - 3, 0)
    return (nano + unit // 2) // unit * unit


def share_of_all(share: float) -> str:
    """0.99879 is ``99.87%``. Rounded down: what is not all is never called 100."""
    return percent(int(share * 10_000 + 1e-6) * 100)


def percent(ppm: int) -> str:
    """25,000 parts per million are ``2.5%``."""
    whole, rest = divmod(ppm, 10_000)
    return f"{whole}.{rest:04d}".rstrip("0").rstrip(".") + "%"


def grouped(number: int) -> str:
    """32768 is ``32,768``."""
    return f"{number:,}"


def share(ppm: int) -> str:
    """25,000 parts per million are ``2.5%``."""
    whole, rest = divmod(ppm, 10_000)
    return f"{whole}.{rest:04d}".rstrip("0").rstrip(".") + "%"


def _short(number: int, units: tuple[tuple[int, str], ...], gap: str) -> str:
    for size, name in units:
        if number >= size:
            tenths = (number * 10 + size // 2) // size
            return (
                f"{tenths // 10}{gap}{name}"
                if tenths % 10 == 0 or tenths >= 1000
                else f"{tenths // 10}.{tenths % 10}{gap}{name}"
            )
    return str(number)


def fingerprint(digest: str, *, height: int = BAR_HEIGHT) -> SafeString:
    """A release's digest as a strip of bars, one for each of its first bytes: what is served can be told at a glance."""
    heights = [
        LOWEST + (BAR_HEIGHT - LOWEST) * value // 255 for value in bytes.fromhex(digest.removeprefix("sha256:"))[:BARS]
    ]
    bars = format_html_join(
        "",
        '<rect x="{}" y="{}" width="{}" height="{}" rx="1" opacity="{}"/>',
        (
            (index * BAR_STEP, (BAR_HEIGHT - tall) // 2, BAR_WIDTH, tall, "1" if tall > BAR_HEIGHT // 2 else "0.55")
            for index, tall in enumerate(heights)
        ),
    )
    width = BARS * BAR_STEP - (BAR_STEP - BAR_WIDTH)
    return format_html(
        '<svg class="fingerprint" viewBox="0 0 {} {}" width="{}" height="{}" fill="currentColor" aria-hidden="true">{}</svg>',
        width, BAR_HEIGHT, width * height // BAR_HEIGHT, height, bars,
    )  # fmt: skip
