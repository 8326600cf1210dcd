from __future__ import annotations

import pytest

from store.catalog.card import Card, CardError, read_card
from store.catalog.licences import licence_fault


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


def test_what_the_hub_says_in_a_card_is_heard() -> None:
    card = read_card(
        "\ufeff---\nlicense: other\nlicense_name: mine\nlicense_link: https://example.com/x\nlanguage: [en, NO, no, x y, zh-hans]\n"
        "pipeline_tag: text-generation\nbase_model: [acme/tiny, acme/other]\nbase_model_relation: merge\n"
        f"base_model_digest: sha256:{'ab' * 32}\nmodel-index: [{{name: x, results: [{{value: 1.5}}]}}]\n---\nbody"
    )
    assert card == Card(
        body="body", licence="other", license_name="mine", license_link="https://example.com/x", languages=("en", "no", "zh-hans"),
        pipeline_tag="text-generation", base_model="acme/tiny", base_model_relation="merge", base_model_digest=f"sha256:{'ab' * 32}",
    )  # fmt: skip


def test_what_makes_no_sense_counts_as_not_said() -> None:
    card = read_card(
        "---\nlanguage: {a: b}\npipeline_tag: ../x\nbase_model_relation: child\nlicense_link: javascript:alert(1)\n"
        f"base_model_digest: sha256:12\ntitle: 0x{'f' * 5000}\n---\n"
    )
    assert card == Card()


def test_a_title_holds_nothing_that_cannot_be_kept_or_turns_text_around() -> None:
    assert read_card('---\ntitle: "a\\u202Eb\\u0000c \\ud800 👩\u200d💻"\n---\n').title == "abc 👩\u200d💻"


@pytest.mark.parametrize(
    "front", ["a: &a 1\nb: *a", "a: &a {x: 1}\nb: {<<: *a}", "? [a]\n: b\n? {c: d}\n: e", "d: 2024-13-45"]
)
def test_yaml_that_could_grow_or_makes_no_plain_values_is_refused(front: str) -> None:
    with pytest.raises(CardError, match="not YAML"):
        read_card(f"---\n{front}\n---\n")


def test_a_card_of_a_million_hashes_is_read_at_once() -> None:
    assert read_card("# a" + " #" * 500_000 + "x").title.startswith("a # #")


@pytest.mark.parametrize(
    ("licence", "more", "is_good"),
    [
        ("apache-2.0", {}, True), ("MIT", {}, True), ("mit or apache-2.0", {}, True), ("gpl-3.0", {}, True), ("cc-by-nc-4.0", {}, True),
        ("llama3.1", {"has_text": True}, True), ("gemma", {}, False), ("other", {"name": "x", "has_text": True}, True),
        ("other", {"has_text": True}, False), ("unknown", {"name": "x"}, False), ("Apache 2.0", {}, False), ("(" * 2000, {}, False),
        ("mit and", {}, False),
    ],
)  # fmt: skip
def test_a_licence_is_spdx_or_comes_with_its_text(licence: str, more: dict[str, str | bool], is_good: bool) -> None:
    fault = licence_fault(licence, name=str(more.get("name", "")), has_text=bool(more.get("has_text")))
    assert (fault is None) == is_good
