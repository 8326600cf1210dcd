"""A column of histograms."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import models

from store.reputation.histogram import packed, unpacked


class HistogramField(models.Field):  # type: ignore[type-arg]
    """A histogram of ``store.reputation.histogram``, kept as one number: see ``packed_sql`` there. In Python it is the list of its counts."""

    def db_type(self, connection: Any) -> str:
        return "numeric"

    def from_db_value(self, value: Decimal | None, _expression: Any, _connection: Any) -> list[int] | None:
        return None if value is None else unpacked(f"{value:f}")

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else Decimal(packed(value))
