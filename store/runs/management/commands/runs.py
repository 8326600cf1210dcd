"""``manage.py runs months``: makes the months of runs that are missing."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from store.runs.actions import make_months
from store.runs.actions.months import AHEAD


class Command(BaseCommand):
    help = "months: make the partitions of the coming months, and move what landed in the default one into them."

    def add_arguments(self, parser: CommandParser) -> None:
        verb = parser.add_subparsers(dest="verb", required=True).add_parser("months", help="make coming months")
        verb.add_argument("--ahead", type=int, default=AHEAD, help=f"months after the running one; {AHEAD} by default")

    def handle(self, *args: Any, ahead: int, **options: Any) -> None:
        made = make_months(ahead=ahead)
        self.stdout.write(self.style.SUCCESS(f"Made: {', '.join(made)}." if made else "All months are there."))
