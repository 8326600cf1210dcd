"""Pages of a list: newest first, by cursor, so that a list that grows shows nothing twice."""

from __future__ import annotations

from rest_framework.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """``?cursor=``; a page has ``next``, ``previous`` and ``results``."""

    ordering = "-pk"
    page_size_query_param = "limit"
    max_page_size = 200
