"""``manage.py usage rebuild SINCE UNTIL``: counts hours again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from store.usage.rollup import rebuild


class Command(BaseCommand):
    help = "rebuild: count runs and trainings of a time again, hour by hour."

    def add_arguments(self, parser: CommandParser) -> None:
        verb = parser.add_subparsers(dest="verb", required=True).add_parser("rebuild", help="count hours again")
        verb.add_argument("since", type=_moment, help="2026-11-01, or 2026-11-01T13:00; UTC where no zone is named")
        verb.add_argument("until", type=_moment, help="not included")

    def handle(self, *args: Any, since: datetime, until: datetime, **options: Any) -> None:
        if until <= since:
            raise CommandError("The time must end after it begins.")
        rebuild(since, until)
        self.stdout.write(self.style.SUCCESS(f"Counted again: {since.isoformat()} to {until.isoformat()}."))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
