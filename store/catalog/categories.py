"""What models are for, in a dozen words: the shelves of the storefront."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Category:
    """``icon`` is a name that the icon component of the pages knows; ``label`` is translated when it is shown."""

    slug: str
    label: Any
    icon: str


CATEGORIES: dict[str, Category] = {
    category.slug: category
    for category in (
        Category("chat", _("Chat and assistants"), "chat"),
        Category("code", _("Code"), "code"),
        Category("writing", _("Writing and stories"), "pen"),
        Category("translation", _("Translation"), "globe"),
        Category("summaries", _("Summaries"), "list"),
        Category("search", _("Search and embeddings"), "search"),
        Category("reasoning", _("Mathematics and reasoning"), "sigma"),
        Category("science", _("Science"), "flask"),
        Category("medicine", _("Medicine and health"), "heart"),
        Category("law", _("Law"), "scales"),
        Category("finance", _("Finance and business"), "chart"),
        Category("education", _("Education"), "book"),
        Category("games", _("Games and characters"), "dice"),
        Category("data", _("Extraction and data"), "table"),
        Category("safety", _("Safety and moderation"), "shield"),
    )
}
