"""Rows of the index with their lexemes, into the database."""

from __future__ import annotations

from collections.abc import Sequence

from store.discovery.keys import card_words, heading_of, heading_vector, keys_of, quoted, tiered_keys_of
from store.discovery.models import ListingIndex, Tier, Word
from store.discovery.reading import Reading
from store.discovery.terms import near_forms
from store.discovery.words import stems

MIN_WORD = 3  # letters of a word that one may have mistyped
UPDATED = [field.name for field in ListingIndex._meta.concrete_fields if not field.primary_key]


def write_rows(readings: Sequence[Reading]) -> None:
    """Inserts or replaces the rows, and remembers the words of their headings."""
    headings = [heading_of(reading.row) for reading in readings]
    cards = [card_words(reading.card) for reading in readings]
    stem_of = stems(
        {word for heading in headings for word in heading.words} | {word for card in cards for word in card}
    )
    tiers = list(Tier.objects.all())
    for reading, heading, card in zip(readings, headings, cards, strict=True):
        row = reading.row
        row.keys = " ".join(map(quoted, keys_of(row, heading, card, stem_of, tiers)))
        row.tiered = " ".join(map(quoted, tiered_keys_of(row, heading, stem_of, tiers))) or None
        row.heading = heading_vector(heading, stem_of)
    ListingIndex.objects.bulk_create(
        [reading.row for reading in readings], update_conflicts=True, update_fields=UPDATED, unique_fields=["listing"]
    )
    words = {word for heading in headings for word in heading.words if len(word) >= MIN_WORD}
    Word.objects.bulk_create([Word(word=word, near=near_forms(word)) for word in sorted(words)], ignore_conflicts=True)
