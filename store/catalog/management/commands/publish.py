"""``manage.py publish FOLDER``: a folder of safetensors, config, tokenizer and card becomes the current release of a listing."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from store.accounts.models import Organization
from store.catalog.actions import PriceSpec, PublishProgress, ReleaseRejected, publish_folder
from store.catalog.blobs import FileChanged
from store.catalog.models import Listing, Release
from store.errors import StoreError
from store.ledger.dollars import parse_dollars

STEPS = {"checking": "Checking the files", "storing": "Storing the files"}


def usd(text: str) -> int:
    """``"0.25"`` as nano-dollars, exact. A comma could be a decimal one, so it is refused."""
    try:
        if "," not in text:
            return parse_dollars(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not an amount in USD, such as 0.25")


class Command(BaseCommand):
    help = "Publishes a folder as the current release of a listing. Publishing the same folder again changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="safetensors weights, config.json, tokenizer.json, README.md")
        parser.add_argument("--provider", required=True, metavar="ORG", help="the organization that sells it")
        parser.add_argument(
            "--name", metavar="SLUG", help="the second half of the model's name (default: the folder's name)"
        )
        for kind in ("input", "output"):
            parser.add_argument(
                f"--price-{kind}", required=True, type=usd, metavar="USD", help=f"for a million {kind} tokens"
            )
        parser.add_argument(
            "--price-cached-input", type=usd, metavar="USD", help="for a million cached ones (default: as input)"
        )
        parser.add_argument("--price-request", type=usd, default=0, metavar="USD", help="for each request (default: 0)")
        parser.add_argument("--title", default="", help="default: the first heading of README.md")
        parser.add_argument("--summary", default="", help="one sentence (default: `summary:` of README.md)")
        parser.add_argument("--licence", default="", metavar="SPDX", help="default: `license:` of README.md")
        parser.add_argument(
            "--tag", action="append", default=[], dest="tags", help="may be given again (default: `tags:` of README.md)"
        )
        parser.add_argument("--private", action="store_true", help="for the organization itself only")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        slug = options["name"] or folder.resolve().name
        organization = Organization.objects.filter(slug=options["provider"]).select_related("provider").first()
        if organization is None:
            raise CommandError(f"There is no organization {options['provider']!r}.")
        if not folder.is_dir():
            raise CommandError(f"{folder} is not a folder.")
        before = (
            Listing.objects.filter(organization=organization, slug=slug)
            .values_list("current_release_id", flat=True)
            .first()
        )
        try:
            release = self._publish(organization, folder, slug, options)
        except ReleaseRejected as error:
            raise CommandError(
                "\n".join(["Not published:", *(f"- {problem.message}" for problem in error.problems)])
            ) from None
        except (StoreError, FileChanged, OSError) as error:
            raise CommandError(f"Not published: {error}") from None
        self._report(release, is_same=before == release.pk)

    def _publish(self, organization: Organization, folder: Path, slug: str, options: dict[str, Any]) -> Release:
        price = PriceSpec(
            input_nano=options["price_input"],
            output_nano=options["price_output"],
            cached_input_nano=options["price_cached_input"],
            request_nano=options["price_request"],
        )
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(STEPS["checking"], total=None)

            def show(progress: PublishProgress) -> None:
                bar.update(
                    task, description=STEPS[progress.step], completed=progress.done, total=progress.total or None
                )

            return publish_folder(
                organization=organization,
                user=None,
                folder=folder,
                slug=slug,
                price=price,
                title=options["title"],
                summary=options["summary"],
                licence=options["licence"],
                tags=tuple(options["tags"]),
                is_private=options["private"],
                on_progress=show,
            )

    def _report(self, release: Release, *, is_same: bool) -> None:
        name = release.listing.name
        state = "is what it was: release" if is_same else "is published: release"
        self.stdout.write(
            f"{name} {state} {release.number}, {release.parameters:,} parameters, {release.size:,} bytes, {release.digest}"
        )
