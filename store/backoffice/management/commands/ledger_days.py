"""``manage.py ledger_days``: keeps the days of the ledger that are over, for the dashboard; ``--rebuild`` makes all of them again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from store.backoffice.days import keep_days


class Command(BaseCommand):
    help = "Keeps the days of the ledger that are over; the clock does it every night."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rebuild", action="store_true", help="make every day again from its transfers")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(self.style.SUCCESS(f"{keep_days(rebuild=options['rebuild'])} rows were written."))
