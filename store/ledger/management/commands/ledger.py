"""``manage.py ledger audit``: proves the books, or names the rows that are wrong and exits with 1."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from store.ledger.audit import MOST_NAMED, audit


class Command(BaseCommand):
    help = "audit: compute every balance, hold, charge and counter again, and name each row that does not match."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_subparsers(dest="verb", required=True).add_parser(
            "audit", help="prove the books; exit code 1 on a mismatch"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        mismatches = audit()
        for mismatch in mismatches:
            self.stdout.write(self.style.ERROR(str(mismatch)))
        if mismatches:
            more = " or more" if len(mismatches) == MOST_NAMED else ""
            raise CommandError(f"{len(mismatches)}{more} mismatches in the books.", returncode=1)
        self.stdout.write(self.style.SUCCESS("The books are right."))
