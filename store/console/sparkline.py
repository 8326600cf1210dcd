"""Small charts drawn by the server: a line for what has a size, a strip of bars for what was up or not.

They say nothing that the text beside them does not: screen readers get the ``label``, eyes get the shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH, HEIGHT, MARGIN = 240, 44, 3
GAP = 1  # between the bars of a strip
FULL, FAIR = 0.999, 0.95  # shares of answered calls: above the first all is well, below the second something is wrong

Series = Sequence[float | None]  # oldest first; None where nothing was seen


def sparkline(values: Series, *, label: str) -> SafeString:
    """A line from zero to the largest value, broken where nothing was seen."""
    known = [value for value in values if value is not None]
    top = max(known, default=0) or 1
    step = (WIDTH - 2 * MARGIN) / max(len(values) - 1, 1)
    points = [
        None if value is None else (MARGIN + index * step, HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * value / top)
        for index, value in enumerate(values)
    ]
    paths = [(_line(part), _area(part)) for part in _unbroken(points)]
    drawn = format_html_join("", '<path class="spark-area" d="{}"/><path class="spark-line" d="{}"/>',
                             ((area, line) for line, area in paths))  # fmt: skip
    return _svg(drawn, label)


def strip(shares: Series, *, label: str) -> SafeString:
    """A bar for each share (0 to 1) of what went well: three classes, each of its own height, so that colour alone says nothing."""
    width = WIDTH / max(len(shares), 1)
    bars = format_html_join(
        "",
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="1.5"/>',
        (_bar(share, index * width, width - GAP) for index, share in enumerate(shares)),
    )
    return _svg(bars, label)


def _bar(share: float | None, x: float, width: float) -> tuple[str, str, int, str, int]:
    if share is None:
        name, tall = "spark-none", HEIGHT // 8
    elif share >= FULL:
        name, tall = "spark-good", HEIGHT - 2 * MARGIN
    else:
        name, tall = ("spark-fair", (HEIGHT - 2 * MARGIN) * 3 // 4) if share >= FAIR else ("spark-bad", HEIGHT // 2)
    return name, f"{x:.1f}", HEIGHT - MARGIN - tall, f"{width:.1f}", tall


def _unbroken(points: Sequence[tuple[float, float] | None]) -> Iterator[list[tuple[float, float]]]:
    part: list[tuple[float, float]] = []
    for point in [*points, None]:
        if point:
            part.append(point)
        elif part:
            yield part if len(part) > 1 else [part[0], (part[0][0] + 1, part[0][1])]  # one alone is a dot
            part = []


def _line(part: list[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in part)


def _area(part: list[tuple[float, float]]) -> str:
    return f"{_line(part)}L{part[-1][0]:.1f} {HEIGHT}L{part[0][0]:.1f} {HEIGHT}Z"


def _svg(inside: SafeString, label: str) -> SafeString:
    return format_html(
        '<svg class="spark" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>',
        WIDTH, HEIGHT, label, inside,
    )  # fmt: skip
