"""A model card: README.md, whose front matter (YAML between two lines of dashes, as on the Hub) says what the page shows."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

MAX_FRONT_MATTER_CHARS = 32_768
MAX_TAGS = 20
FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#[ \t]+(.+?)[ \t#]*$", re.MULTILINE)


class CardError(ValueError):
    """The front matter cannot be read. The message is a sentence and says how to mend it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """``body`` is Markdown without the front matter; the rest is empty where the card does not say it."""

    body: str = ""
    title: str = ""
    summary: str = ""
    licence: str = ""
    tags: tuple[str, ...] = ()


def read_card(text: str) -> Card:
    """Raises :class:`CardError`. ``text`` comes from a provider: run it where a file of theirs may be opened."""
    found = FRONT_MATTER.match(text)
    said = _front_matter(found.group(1)) if found else {}
    body = text[found.end() :].lstrip() if found else text
    heading = HEADING.search(body)
    tags = said.get("tags")
    return Card(
        body=body,
        title=_line(said.get("title"), 150) or _line(heading and heading.group(1), 150),
        summary=_line(said.get("summary"), 300),
        licence=_line(said.get("license"), 60),
        tags=tuple(filter(None, (_line(tag, 40) for tag in tags[:MAX_TAGS]))) if isinstance(tags, list) else (),
    )


def _front_matter(text: str) -> dict[str, object]:
    if len(text) > MAX_FRONT_MATTER_CHARS:
        raise CardError(
            f"README.md has {len(text)} characters between its dashes; {MAX_FRONT_MATTER_CHARS} are the most."
        )
    try:
        said = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        where = str(error).splitlines()[-1].strip() if str(error) else "it is nested too deeply"
        raise CardError(
            f"README.md begins with front matter that is not YAML ({where}); mend it or remove it."
        ) from None
    if said is not None and not isinstance(said, dict):
        raise CardError("README.md begins with front matter that is not a list of `name: value`; mend it or remove it.")
    return said or {}


def _line(value: object, limit: int) -> str:
    """Text of one line; anything but a text or a number counts as not said."""
    return " ".join(str(value).split())[:limit] if isinstance(value, str | int | float) else ""
