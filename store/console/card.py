"""A model card as HTML. Its Markdown comes from a provider: what it says is shown, what it could do is taken out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererProtocol
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

MAX_CHARS = 100_000
TAG_NAMES = """
p br hr h2 h3 h4 h5 h6 ul ol li dl dt dd blockquote pre code em strong del sup sub
table thead tbody tr th td a details summary
"""
TAGS = frozenset(TAG_NAMES.split())
ATTRIBUTES = {"a": {"href", "title"}, "th": {"colspan", "rowspan"}, "td": {"colspan", "rowspan"}, "ol": {"start"}}


def _lower_headings(state: StateCore) -> None:
    """The page has its own first heading: those of a card begin one level below."""
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"


def _image_as_link(
    _self: RendererProtocol, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType
) -> str:
    """Pages load nothing from elsewhere, so an image becomes a link to it; nh3 judges the address."""
    source = nh3.clean_text(str(tokens[index].attrGet("src") or ""))
    return f'<a href="{source}">{nh3.clean_text(tokens[index].content or str(tokens[index].attrGet("src")))}</a>'


_markdown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
_markdown.core.ruler.push("lower_headings", _lower_headings)
_markdown.add_render_rule("image", _image_as_link)


@lru_cache(maxsize=256)
def card_html(text: str) -> SafeString:
    """Safe HTML; of a card longer than MAX_CHARS only the beginning."""
    html = _markdown.render(text[:MAX_CHARS])
    safe = nh3.clean(
        html,
        tags=set(TAGS),
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="nofollow noopener noreferrer ugc",
    )
    return mark_safe(safe)  # nh3 has just cleaned it
