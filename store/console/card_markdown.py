"""The Markdown of model cards: CommonMark with tables, strikethrough, task lists, heading anchors and formulas as code."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from django.utils.html import format_html
from django.utils.text import slugify
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererProtocol
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

ANCHOR = "card-"  # what every id of a card begins with: it can never be taken for one of the page's own
MAX_ANCHOR_CHARS = 80
IMAGES = "images"  # in the environment of a rendering: a function from an image's source to its address, or None
ALIGNMENT = re.compile(r"text-align:(left|center|right)")
TASK = re.compile(r"\[([ xX])\](?=\s)")
OPEN_BOX, TICKED_BOX = "☐", "☑"
IMAGE_TAG = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
ATTRIBUTE = re.compile(r"""\b(src|alt)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
FENCES = (("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"))
DISPLAYED = ("$$", "\\[")
MAX_FORMULA_CHARS = 4_000  # what is not closed by then is no formula: looking on would take the square of the text

ImageAddress = Callable[[str], str | None]


def parser() -> MarkdownIt:
    """Raw HTML goes through: the result must be sanitized (store.console.card)."""
    markdown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    markdown.block.ruler.before("fence", "formula_block", _formula_block, {"alt": ["paragraph", "blockquote"]})
    markdown.inline.ruler.before("escape", "formula", _formula)
    for rule in (_headings, _table_alignment, _tasks):
        markdown.core.ruler.push(rule.__name__.strip("_"), rule)
    markdown.add_render_rule("image", _image)
    markdown.add_render_rule("formula", _code_of_formula)
    markdown.add_render_rule("html_inline", _raw_html)
    markdown.add_render_rule("html_block", _raw_html)
    return markdown


def image_html(source: str, words: str, images: ImageAddress | None) -> str:
    """An image of the release itself; any other becomes a link to it, for pages load nothing from elsewhere."""
    address = images(source) if images else None
    if address:
        return format_html('<img src="{}" alt="{}">', address, words)
    return format_html('<a href="{}">{}</a>', source, words or source.rpartition("/")[2] or source)


def _headings(state: StateCore) -> None:
    """The page has its own first heading: those of a card begin one level below. Each can be linked to."""
    seen: Counter[str] = Counter()
    for index, token in enumerate(state.tokens):
        if token.type not in ("heading_open", "heading_close"):
            continue
        token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"
        if token.type == "heading_open":
            slug = slugify(_words(state.tokens[index + 1]), allow_unicode=True)[:MAX_ANCHOR_CHARS] or "section"
            token.attrSet("id", f"{ANCHOR}{slug}-{seen[slug]}" if seen[slug] else ANCHOR + slug)
            seen[slug] += 1


def _words(inline: Token) -> str:
    return "".join(child.content for child in inline.children or [] if child.type in ("text", "code_inline", "formula"))


def _table_alignment(state: StateCore) -> None:
    """Inline styles are not allowed on our pages: a column's alignment is said by an attribute."""
    for token in state.tokens:
        found = ALIGNMENT.search(str(token.attrGet("style") or "")) if token.type in ("th_open", "td_open") else None
        if found:
            token.attrs = {"align": found[1]}


def _tasks(state: StateCore) -> None:
    """``- [x] done`` as a box that says so to eyes and to screen readers, and cannot be clicked."""
    for index, token in enumerate(state.tokens[2:], start=2):
        if token.type != "inline" or state.tokens[index - 2].type != "list_item_open":
            continue
        first = token.children[0] if token.children else None
        found = TASK.match(first.content) if first and first.type == "text" else None
        if first and found:
            first.content = (OPEN_BOX if found[1] == " " else TICKED_BOX) + first.content[found.end() :]
            state.tokens[index - 2].attrSet("class", "task")


def _formula(state: StateInline, silent: bool) -> bool:
    """``$a_1$``, ``$$…$$``, ``\\(…\\)`` and ``\\[…\\]`` as they were written: nothing in them is Markdown."""
    source, begin = state.src, state.pos
    for opening, closing in FENCES:
        if source.startswith(opening, begin):
            end = source.find(closing, begin + 2, begin + MAX_FORMULA_CHARS)
            return end > begin + 2 and _put(state, source[begin + 2 : end], end + 2, silent, opening)
    if source[begin] != "$":
        return False
    end = source.find("$", begin + 1, begin + MAX_FORMULA_CHARS)
    inside = source[begin + 1 : end]
    # As pandoc decides it, so that $5 and $6 stay what they are.
    is_formula = end > begin + 1 and not inside[0].isspace() and not inside[-1].isspace() and "\n\n" not in inside
    return is_formula and not source[end + 1 : end + 2].isdigit() and _put(state, inside, end + 1, silent, "$")


def _put(state: StateInline, content: str, end: int, silent: bool, opening: str) -> bool:
    if not silent:
        token = state.push("formula", "code", 0)
        token.content, token.markup = content.strip(), opening
    state.pos = end
    return True


def _formula_block(state: StateBlock, start: int, last: int, silent: bool) -> bool:
    """Lines between ``$$`` and ``$$``, which could be taken for lists and headings otherwise."""
    first = state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]].rstrip()
    if first != "$$" or state.is_code_block(start):
        return False
    line = start + 1
    while line < last and state.src[state.bMarks[line] : state.eMarks[line]].strip() != "$$":
        line += 1
    if line >= last:
        return False
    if not silent:
        token = state.push("formula", "code", 0)
        token.content, token.markup = state.getLines(start + 1, line, state.blkIndent, False).strip(), "$$"
        token.block, token.map = True, [start, line + 1]
        state.line = line + 1
    return True


def _code_of_formula(
    _self: RendererProtocol, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType
) -> str:
    token = tokens[index]
    code = format_html('<code class="math">{}</code>', token.content)
    return f"<pre>{code}</pre>\n" if token.block else f"<br>{code}<br>" if token.markup in DISPLAYED else code


def _image(_self: RendererProtocol, tokens: Sequence[Token], index: int, _options: OptionsDict, env: EnvType) -> str:
    return image_html(str(tokens[index].attrGet("src") or ""), tokens[index].content, env.get(IMAGES))


def _raw_html(_self: RendererProtocol, tokens: Sequence[Token], index: int, _options: OptionsDict, env: EnvType) -> str:
    """HTML of the card's own, its images treated as Markdown's. What this overlooks, the sanitizer takes out."""

    def shown(tag: re.Match[str]) -> str:
        said = {each[1].lower(): each[2] or each[3] or each[4] or "" for each in ATTRIBUTE.finditer(tag[0])}
        return image_html(said.get("src", ""), said.get("alt", ""), env.get(IMAGES)) if said.get("src") else ""

    return IMAGE_TAG.sub(shown, tokens[index].content)
