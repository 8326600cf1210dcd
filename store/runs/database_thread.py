"""Queries from async code, on threads of their own, each with its own connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import close_old_connections

THREADS = 4

P = ParamSpec("P")
T = TypeVar("T")

_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="database")


async def query(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs a function that queries. Raises what it raises."""

    def fresh() -> T:
        close_old_connections()  # what a restarted server has dropped
        return function(*args, **kwargs)

    return await asyncio.get_running_loop().run_in_executor(_pool, fresh)
