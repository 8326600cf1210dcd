from __future__ import annotations

from store.console.sparkline import HEIGHT, MARGIN, sparkline, strip


def test_a_line_goes_from_zero_to_the_largest_value() -> None:
    drawn = sparkline([0, 5, 10], label="Speed")
    assert f"M3.0 {HEIGHT - MARGIN:.1f}L120.0 22.0L237.0 {MARGIN:.1f}" in drawn
    assert 'aria-label="Speed"' in drawn


def test_a_gap_breaks_the_line_and_one_alone_is_a_dot() -> None:
    drawn = sparkline([1, None, 2, 3, None], label="x")
    assert drawn.count("spark-line") == 2
    assert "M3.0 28.3L4.0 28.3" in drawn


def test_nothing_and_nothing_but_zeros_can_be_drawn() -> None:
    for values in ([], [None], [0], [0.0, 0.0]):
        assert "nan" not in sparkline(values, label="x")
        assert "inf" not in strip(values, label="x")


def test_a_strip_tells_good_from_bad_by_height_too() -> None:
    drawn = strip([1, 0.97, 0.5, None], label="Uptime")
    heights = {
        name: drawn.split(f'class="spark-{name}"')[1].split('height="')[1].split('"')[0]
        for name in ("good", "fair", "bad", "none")
    }
    assert len(set(heights.values())) == 4


def test_a_label_is_text() -> None:
    assert "<b>" not in sparkline([1], label='"><b>')
