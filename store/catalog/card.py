"""A model card: README.md, whose front matter (YAML between two lines of dashes, as on the Hub) says what the page shows.

Reading it is safe in any process: the YAML has no aliases, whose merging can take all memory, and makes plain values only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

MAX_FRONT_MATTER_CHARS = 32_768
MAX_TAGS = 20
MAX_LANGUAGES = 50
MAX_DEPTH = 20
BASE_RELATIONS = ("finetune", "adapter", "merge", "quantized")
LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})?")
TAG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
JOINERS = "\u200c\u200d"  # invisible, and part of words and of emoji


class CardError(ValueError):
    """The card cannot be read. The message is a sentence and says how to mend it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """``body`` is Markdown without the front matter; the rest is empty where the card does not say it."""

    body: str = ""
    title: str = ""
    summary: str = ""
    licence: str = ""
    license_name: str = ""  # of a licence "other"
    license_link: str = ""  # an https address
    tags: tuple[str, ...] = ()
    pipeline_tag: str = ""
    languages: tuple[str, ...] = ()  # ISO 639 codes
    base_model: str = ""  # "acme/bard"
    base_model_relation: str = ""  # finetune, adapter, merge or quantized
    base_model_digest: str = ""  # of the base's release, "sha256:<64 hex>": how an adapter may name its base


def read_card(text: str) -> Card:
    """Raises :class:`CardError`."""
    text = text.removeprefix("\ufeff")
    if "\0" in text:
        raise CardError("README.md has a character of code 0; save it as plain text.")
    front, body = split_card(text)
    said = _front_matter(front) if front is not None else {}
    relation, digest = _line(said.get("base_model_relation"), 20), _line(said.get("base_model_digest"), 80)
    link = _line(said.get("license_link"), 300)
    return Card(
        body=body,
        title=_line(said.get("title"), 150) or _line(_heading(body), 150),
        summary=_line(said.get("summary"), 300),
        licence=_line(said.get("license"), 60),
        license_name=_line(said.get("license_name"), 100),
        license_link=link if link.startswith("https://") else "",
        tags=_lines(said.get("tags"), 40, MAX_TAGS),
        pipeline_tag=_matching(TAG, _line(said.get("pipeline_tag"), 40)),
        languages=_languages(said.get("language")),
        base_model=(_lines(said.get("base_model"), 200, 1) or (_line(said.get("base_model"), 200),))[0],
        base_model_relation=relation if relation in BASE_RELATIONS else "",
        base_model_digest=_matching(DIGEST, digest),
    )


def read_metadata(text: str) -> dict[object, object]:
    """All that the front matter says, as YAML has it. Raises :class:`CardError`."""
    front, _body = split_card(text.removeprefix("\ufeff"))
    return _front_matter(front) if front is not None else {}


def split_card(text: str) -> tuple[str | None, str]:
    """Front matter (None: there is none) and body."""
    lines = text.splitlines(keepends=True)
    if not lines or lines[0].rstrip() != "---" or lines[0][:3] != "---":
        return None, text
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() == "---":
            return "".join(lines[1:number]), "".join(lines[number + 1 :]).lstrip()
    return None, text


def _heading(body: str) -> str:
    """The first line that begins with one ``#``, without it."""
    for line in body.splitlines():
        if line.startswith(("# ", "#\t")):
            return line[1:].rstrip(" \t#")
    return ""


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases and not nested deeply."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias, *name: write the value out")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.YAMLError("it is nested too deeply")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def _front_matter(text: str) -> dict[object, object]:
    if len(text) > MAX_FRONT_MATTER_CHARS:
        raise CardError(
            f"README.md has {len(text)} characters between its dashes; {MAX_FRONT_MATTER_CHARS} are the most."
        )
    try:
        said = yaml.load(text, _PlainLoader)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError, OverflowError, AttributeError) as error:
        where = str(error).splitlines()[-1].strip() if str(error) else "it is nested too deeply"
        raise CardError(
            f"README.md begins with front matter that is not YAML ({where[:200]}); mend it or remove it."
        ) from None
    if said is not None and not isinstance(said, dict):
        raise CardError("README.md begins with front matter that is not a list of `name: value`; mend it or remove it.")
    return said or {}


def _line(value: object, limit: int) -> str:
    """Text of one line that can be shown and kept; anything but a text or a number counts as not said."""
    if isinstance(value, int) and value.bit_length() > 64:
        return ""
    text = str(value) if isinstance(value, str | int | float) else ""
    shown = "".join(c for c in text if c.isprintable() or c.isspace() or c in JOINERS)
    return " ".join(shown.split())[:limit]


def _lines(value: object, limit: int, count: int) -> tuple[str, ...]:
    lines = [_line(item, limit) for item in value[:count]] if isinstance(value, list) else []
    return tuple(dict.fromkeys(line for line in lines if line))


def _languages(value: object) -> tuple[str, ...]:
    """YAML reads ``no`` (Norwegian) as false."""
    values = value if isinstance(value, list) else [value]
    codes = ("no" if one is False else _line(one, 20).lower() for one in values[:MAX_LANGUAGES])
    return tuple(dict.fromkeys(code for code in codes if LANGUAGE.fullmatch(code)))


def _matching(pattern: re.Pattern[str], text: str) -> str:
    return text if pattern.fullmatch(text) else ""
