"""The store of the stories: processes of it, and something to call."""

from __future__ import annotations

from tests.stack import migrated, shop, stack

__all__ = ["migrated", "shop", "stack"]
