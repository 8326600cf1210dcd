from __future__ import annotations

import pytest

from store.catalog.card import Card, CardError, read_card


def test_front_matter_is_read_and_kept_out_of_the_body() -> None:
    card = read_card("---\nlicense: mit\ntitle: Bard\ntags: [verse, 1]\n---\n\n# A heading\ntext\n")
    assert card == Card(body="# A heading\ntext\n", title="Bard", licence="mit", tags=("verse", "1"))


def test_without_a_title_the_first_heading_is_the_title() -> None:
    assert read_card("text\n\n## Not this\n# This one #\n").title == "This one"


def test_a_card_without_front_matter_is_all_body() -> None:
    assert read_card("just text\n---\nmore\n") == Card(body="just text\n---\nmore\n")


def test_an_empty_card_says_nothing() -> None:
    assert read_card("") == Card()


def test_values_of_other_kinds_count_as_not_said() -> None:
    assert read_card("---\nlicense: [mit]\ntags: mit\ntitle: {a: b}\n---\n") == Card()


def test_long_lines_are_cut() -> None:
    card = read_card(f"---\nlicense: mit\nsummary: {'x' * 1000}\n---\n")
    assert len(card.summary) == 300


@pytest.mark.parametrize("front", ["a: [", "- a", "a: !!python/name:os.system", "[" * 10_000])
def test_front_matter_that_is_not_a_map_of_plain_values_is_refused(front: str) -> None:
    with pytest.raises(CardError, match=r"README\.md"):
        read_card(f"---\n{front}\n---\n")
