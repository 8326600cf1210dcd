"""Set-based SQL on Django's connection: prepared statements, whole columns as array literals.

Django's own cursors write the values into the text of a query, so that the server parses and plans each anew; for the handful of
statements that every run costs, preparing them is most of their price at a batch of one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg
from django.db import connection

PREPARE_AFTER = 2  # executions of the same text on a connection


def execute(query: str, *params: object, plan_anew: bool = False) -> list[tuple[Any, ...]]:
    """Runs a statement in Django's current transaction, and returns its rows, if it has any. Raises django.db errors.

    ``plan_anew``: it is planned for its values each time. A plan for any values looks for an array of ids in every partition.
    """
    connection.ensure_connection()
    raw: psycopg.Connection[tuple[Any, ...]] = connection.connection
    if raw.prepare_threshold is None:
        raw.prepare_threshold = PREPARE_AFTER
    with connection.wrap_database_errors, psycopg.Cursor(raw) as cursor:
        cursor.execute(query.encode(), params, prepare=False if plan_anew else None)
        return cursor.fetchall() if cursor.description else []


def array(values: Iterable[object]) -> str:
    """An array literal of integers, UUIDs, booleans or times, None among them; the statement casts it: ``%s::bigint[]``."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def text_array(values: Iterable[str | None]) -> str:
    """An array literal of strings: ``%s::text[]``."""
    return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in values]) + "}"


def bytes_array(values: Iterable[bytes | None]) -> str:
    """An array literal of byte strings: ``%s::bytea[]``."""
    return "{" + ",".join(["NULL" if value is None else f'"\\\\x{value.hex()}"' for value in values]) + "}"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
