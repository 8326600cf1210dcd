from __future__ import annotations

import pytest

from store.console.card import MAX_CHARS, card_html


def test_markdown_becomes_html_one_heading_level_down() -> None:
    html = card_html("# Bard\n\nSome **verse**.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    assert "<h2>Bard</h2>" in html
    assert "<strong>verse</strong>" in html
    assert "<td>1</td>" in html


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "![x](javascript:alert(1))",
        '![x](https://a.example/"onload=alert(1))',
        "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
        '<p style="position:fixed" onclick="alert(1)" id="main" class="btn">x</p>',
        "<iframe src=//evil.example></iframe><form action=/wallet/top-up method=post><button>x</button></form>",
        "<style>body{display:none}</style><svg onload=alert(1)>",
    ],
)
def test_nothing_in_a_card_can_act(attack: str) -> None:
    html = card_html(attack)
    for harm in ("<script", "onerror=", "onload=\"", "href=\"javascript", "href=\"data", "style=", "onclick", "id=", "class=", "<iframe", "<form",
                 "<button", "<style", "<svg", "<img"):  # fmt: skip
        assert harm not in html


def test_an_image_becomes_a_link_that_gives_no_credit() -> None:
    html = card_html("![A chart](https://a.example/c.png)")
    assert 'href="https://a.example/c.png"' in html
    assert "nofollow" in html
    assert "A chart</a>" in html


def test_a_card_without_end_is_cut() -> None:
    assert len(card_html("a" * (MAX_CHARS * 3))) < MAX_CHARS * 2
