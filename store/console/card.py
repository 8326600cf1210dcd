"""A model card as HTML. Its Markdown comes from a provider: what it says is shown, what it could do is taken out.

Nothing in the result runs, is styled by the card, submits, or makes the reader's browser ask anybody but this store.
"""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache
from urllib.parse import quote, unquote, urlsplit

import nh3
from django.utils.safestring import SafeString, mark_safe

from store.console.card_markdown import ANCHOR, IMAGES, parser

MAX_CHARS = 100_000
TAG_NAMES = """
p br hr h2 h3 h4 h5 h6 ul ol li dl dt dd blockquote pre code kbd samp var em strong b i u s del ins mark small sup sub abbr
table caption thead tbody tfoot tr th td a img details summary div span
"""
TAGS = frozenset(TAG_NAMES.split())
CELL = {"align", "colspan", "rowspan"}
ATTRIBUTES = {
    "*": {"id"},
    "a": {"href", "title"},
    "abbr": {"title"},
    "code": {"class"},
    "details": {"open"},
    "div": {"align"},
    "img": {"src", "alt", "title", "width", "height"},
    "li": {"class"},
    "ol": {"start"},
    "p": {"align"},
    "td": CELL,
    "th": CELL | {"scope"},
}
SCHEMES = {"http", "https", "mailto"}
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
LANGUAGE = re.compile(r"language-[A-Za-z0-9_+#.-]{1,30}|math")
SMALL_NUMBER = re.compile(r"[0-9]{1,4}")
ALIGNMENTS = ("left", "center", "right")
# Embeddings and overrides of the direction of text can make a page say what it does not; isolates, which end by themselves, stay.
OVERRIDES = {ord(each): None for each in "\u202a\u202b\u202c\u202d\u202e"}

_markdown = parser()


@lru_cache(maxsize=256)
def card_html(text: str, *, model: str = "", revision: str = "") -> SafeString:
    """Safe HTML; of a card longer than MAX_CHARS only the beginning.

    With the listing's full name and a revision (a release's or a commit's 40 hex digits), images and relative links lead to the
    files of that revision; without them they are words.
    """

    def image(source: str) -> str | None:
        path = _own_path(source)
        known = path and revision and path.lower().endswith(IMAGE_SUFFIXES)
        return f"/{model}/image/{revision}/{quote(path)}" if path and known else None

    def judged(tag: str, attribute: str, value: str) -> str | None:
        return _judged(tag, attribute, value, f"/{model}", revision)

    html = _markdown.render(text[:MAX_CHARS].translate(OVERRIDES), {IMAGES: image})
    safe = nh3.clean(
        html,
        tags=set(TAGS),
        attributes=ATTRIBUTES,
        attribute_filter=judged,
        url_schemes=SCHEMES,
        link_rel="nofollow noopener noreferrer ugc",
    )
    return mark_safe(safe)  # nh3 has just cleaned it


def _own_path(source: str) -> str:
    """The path inside the repository that a relative address means; empty for every other address."""
    try:
        parts = urlsplit(source.strip())
    except ValueError:
        return ""
    if parts.scheme or parts.netloc or not parts.path or parts.path.startswith(("/", "\\")):
        return ""
    path = posixpath.normpath(unquote(parts.path))
    return "" if (path.startswith(("..", "/", ".")) and path != ".") or "\\" in path or not path.isprintable() else path


def _judged(tag: str, attribute: str, value: str, place: str, revision: str) -> str | None:
    """What is left of an attribute: nh3 has let through those in ATTRIBUTES, and asks about each value."""
    match tag, attribute:
        case _, "id":
            return value if value.startswith(ANCHOR) else ANCHOR + value
        case "img", "src":
            return value if revision and value.startswith(f"{place}/image/{revision}/") else None
        case "a", "href":
            return _link(value, place, revision)
        case "code", "class":
            return next((each for each in value.split() if LANGUAGE.fullmatch(each)), None)
        case "li", "class":
            return "task" if value == "task" else None
        case _, "align":
            return value.lower() if value.lower() in ALIGNMENTS else None
        case _, "width" | "height" | "colspan" | "rowspan" | "start":
            return value if SMALL_NUMBER.fullmatch(value) else None
    return value


def _link(value: str, place: str, revision: str) -> str | None:
    if value.startswith("#"):
        return f"#{ANCHOR}{value[1:].removeprefix(ANCHOR)}"
    if value.partition(":")[0].lower() in SCHEMES:
        return value
    path = _own_path(value)
    return f"{place}/resolve/{revision}/{quote(path)}" if path and revision else None
