"""``manage.py publish``, as an operator types it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from store.accounts.models import Organization
from store.catalog.management.commands.publish import usd
from store.catalog.models import Listing


def run(folder: Path, *more: str) -> str:
    out = io.StringIO()
    call_command(
        "publish", str(folder), "--provider", "acme", "--price-input", "0.5", "--price-output", "1.5", *more, stdout=out
    )
    return out.getvalue()


def test_it_publishes_at_the_price_and_says_so(acme: Organization, folder: Path) -> None:
    assert "acme/tiny is published: release 1" in run(folder)
    price = Listing.objects.get().prices.current().get()
    assert (price.input_nano, price.cached_input_nano, price.output_nano) == (500_000_000, 500_000_000, 1_500_000_000)


def test_the_second_time_it_says_that_nothing_changed(acme: Organization, folder: Path) -> None:
    run(folder)
    assert "acme/tiny is what it was: release 1" in run(folder)


def test_what_is_said_on_the_command_line_wins_over_the_card(acme: Organization, folder: Path) -> None:
    run(folder, "--name", "other", "--title", "Other", "--licence", "mit", "--tag", "a", "--tag", "b", "--private")
    listing = Listing.objects.get()
    assert (listing.name, listing.title, listing.licence, listing.tags, listing.is_private) == (
        "acme/other",
        "Other",
        "mit",
        ["a", "b"],
        True,
    )


def test_a_refused_folder_is_explained(acme: Organization, folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(CommandError, match=r"config\.json is missing"):
        run(folder)


def test_an_unknown_provider_and_a_missing_folder_are_errors(acme: Organization, folder: Path) -> None:
    with pytest.raises(CommandError, match="no organization 'nobody'"):
        call_command("publish", str(folder), "--provider", "nobody", "--price-input", "0", "--price-output", "0")
    with pytest.raises(CommandError, match="not a folder"):
        run(folder / "nowhere")


@pytest.mark.parametrize(
    ("text", "nano"),
    [("0", 0), ("0.25", 250_000_000), ("3", 3_000_000_000), ("0.000000001", 1), ("1.10", 1_100_000_000)],
)
def test_prices_are_read_exactly(text: str, nano: int) -> None:
    assert usd(text) == nano


@pytest.mark.parametrize("text", ["", "-1", "1e3", "nan", "0.0000000001", "1,5", "99999999"])
def test_other_words_are_no_price(text: str) -> None:
    with pytest.raises(Exception, match="not an amount"):
        usd(text)
