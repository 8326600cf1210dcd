"""The right one comes first: names, stems, mistypings, unfinished words, Chinese, Japanese, Korean."""

from __future__ import annotations

import pytest

from tests.store.discovery.conftest import ListingMaker, found, page_of

pytestmark = pytest.mark.django_db


def test_a_listing_is_found_at_once_by_each_of_its_words(shelve: ListingMaker) -> None:
    shelve(
        "bard", title="The Bard", summary="Sonnets on demand", tags=["poetry"], card="Trained on all of Shakespeare."
    )
    for query in (
        "bard",
        "provider/bard",
        "provider",
        "sonnets",
        "POETRY",
        "shakespeare",
        "bard poetry shakespeare",
        "",
    ):
        assert found(query) == ["bard"], query
    assert found("bard prose") == []


def test_the_exact_name_comes_first_then_the_heading_then_the_card(shelve: ListingMaker) -> None:
    shelve("stories", title="Stories", card="In the manner of llama and other animals.")
    shelve("tiny-llama", title="Tiny", summary="A small one.")
    shelve("llama", title="Base model")
    shelve("farm", title="Farm", summary="Everything about the llama")
    assert found("llama") == ["llama", "tiny-llama", "farm", "stories"]
    assert found("provider/tiny-llama") == ["tiny-llama"]


def test_english_words_match_by_their_stems_and_stop_words_do_not_hinder(shelve: ListingMaker) -> None:
    shelve("law", title="Legal drafting", summary="Drafts contracts for lawyers")
    shelve("poems", title="Poems")
    for query in ("contract", "draft", "drafted contracts", "a contract for the lawyer"):
        assert found(query) == ["law"], query
    assert found("the") == []


@pytest.mark.parametrize("query", ["brad", "bart", "bardd", "bar", "baard", "vard"])
def test_a_mistyped_or_unfinished_word_is_understood(shelve: ListingMaker, query: str) -> None:
    shelve("bard")
    assert found(query) == ["bard"]


@pytest.mark.parametrize("query", ["shakespere", "shakspeare", "shakespaere sonets", "sonets"])
def test_a_long_word_may_have_two_mistakes(shelve: ListingMaker, query: str) -> None:
    shelve("bard", title="Shakespeare", summary="Sonnets")
    page = page_of(q=query)
    assert [row.slug for row in page.items] == ["bard"]
    assert page.corrected
    assert found("completely different") == []


def test_a_word_that_exists_is_not_corrected(shelve: ListingMaker) -> None:
    shelve("bard")
    shelve("bart")
    assert found("bart") == ["bart"]
    assert page_of(q="bart").corrected == ""


@pytest.mark.parametrize("query", ["诗", "古诗", "写古诗", "古诗模型", "诗 gpt", "GPT古诗"])
def test_chinese_is_found_by_one_two_and_more_characters(shelve: ListingMaker, query: str) -> None:
    shelve("gushi", title="GPT古诗模型", summary="会写古诗")
    shelve("other", title="新闻摘要")
    assert found(query) == ["gushi"]


def test_characters_that_are_no_neighbours_are_not_found(shelve: ListingMaker) -> None:
    shelve("gushi", title="古代的诗")
    assert found("古诗") == []
    assert found("古 诗") == ["gushi"]


@pytest.mark.parametrize(
    ("title", "query"),
    [("日本語の小説", "小説"), ("ひらがな練習", "ひらがな"), ("한국어 번역기", "번역"), ("한국어 번역기", "한국어")],
)
def test_japanese_and_korean_are_found(shelve: ListingMaker, title: str, query: str) -> None:
    shelve("model", title=title)
    assert found(query) == ["model"]


@pytest.mark.parametrize(
    ("title", "query"),
    [
        ("Résumé writer", "resume"),
        ("Resume writer", "résumé"),
        ("ＧＰＴ wide", "gpt"),
        ("GPT-2 small", "gpt2 small"),
        ("GPT-2 small", "gpt-2"),
        ("gpt2", "GPT 2"),
        ("Llama 3.1", "llama3"),
        ("نموذج الشعر العربي", "الشعر"),
        ("हिन्दी कविता", "हिन्दी"),
        ("Стихи", "СТИХИ"),
    ],
)
def test_words_of_every_script_are_found_as_people_type_them(shelve: ListingMaker, title: str, query: str) -> None:
    shelve("model", title=title)
    assert found(query) == ["model"]
