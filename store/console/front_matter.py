"""A card taken apart for its form, and put together again. What the form does not know stays as it was written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from store.catalog.card import CardError, read_metadata, split_card

# The form's fields by the Hub's names for them.
TEXTS = {"license": "licence", "pipeline_tag": "task", "base_model": "base", "base_model_relation": "relation"}
LICENCE_KEYS = ("license", "license_name", "license_link")
LISTS = {"language": "languages", "tags": "tags"}
KEY = re.compile(r"^([A-Za-z_][\w-]*)[ \t]*:", re.MULTILINE)


@dataclass(kw_only=True, slots=True)
class CardParts:
    """``rest`` is YAML that the form has no field for; ``body`` the Markdown."""

    licence: str = ""
    task: str = ""
    base: str = ""
    relation: str = ""
    languages: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    rest: str = ""
    body: str = ""

    @classmethod
    def of(cls, text: str) -> CardParts:
        """Front matter that cannot be read is all ``rest``: nothing that somebody wrote is lost."""
        matter, body = split_card(text.removeprefix("\ufeff"))
        parts = cls(body=body)
        kept = []
        for key, block in _blocks(matter or ""):
            value = _value(block) if key in TEXTS or key in LISTS else None
            if key in TEXTS and isinstance(value, str | int | float):
                setattr(parts, TEXTS[key], str(value))
            elif key in LISTS and (words := _words(value)) is not None:
                setattr(parts, LISTS[key], words)
            else:
                kept.append(block)
        parts.rest = "".join(kept).strip("\r\n")
        return parts

    def text(self) -> str:
        """The whole README.md."""
        said: dict[str, Any] = {key: value for key, name in TEXTS.items() if (value := getattr(self, name).strip())}
        said |= {key: value for key, name in LISTS.items() if (value := [*filter(None, getattr(self, name))])}
        known = yaml.safe_dump(said, allow_unicode=True, sort_keys=False, width=1000) if said else ""
        rest = f"{self.rest.strip()}\n" if self.rest.strip() else ""
        matter = f"---\n{known}{rest}---\n\n" if known or rest else ""
        return matter + self.body.replace("\r\n", "\n")


def licence_keys(text: str) -> dict[str, str]:
    """What a card says of its licence, by the Hub's keys; empty where it names none."""
    try:
        said = read_metadata(text)
    except CardError:
        return {}
    found = {key: str(said[key]) for key in LICENCE_KEYS if isinstance(said.get(key), str | int | float)}
    return found if found.get("license") else {}


def with_keys(text: str, said: dict[str, str]) -> str:
    """The card with these keys at the head of its front matter; all else stays as it was written."""
    matter, body = split_card(text.removeprefix("\ufeff"))
    kept = "".join(block for key, block in _blocks(matter or "") if key not in said)
    known = yaml.safe_dump(said, allow_unicode=True, sort_keys=False, width=1000)
    return f"---\n{known}{kept}---\n\n{body}"


def _blocks(matter: str) -> list[tuple[str, str]]:
    """Each top-level key with all its lines; what stands before the first key has the key ""."""
    starts = [(found.group(1), found.start()) for found in KEY.finditer(matter)]
    if not starts:
        return [("", matter)] if matter.strip() else []
    ends = [start for _key, start in starts[1:]] + [len(matter)]
    head = matter[: starts[0][1]]
    blocks = [(key, matter[start:end]) for (key, start), end in zip(starts, ends, strict=True)]
    return [("", head), *blocks] if head.strip() else blocks


def _value(block: str) -> Any:
    try:
        return next(iter(read_metadata(f"---\n{block}\n---\n").values()), None)
    except CardError:
        return None


def _words(value: Any) -> list[str] | None:
    """A list of plain words; None for anything else."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(each, str | int | float) for each in value):
        return [str(each) for each in value]
    return None
