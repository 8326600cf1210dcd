"""What a person sees while a store comes up: each step, how long it took, what it does now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

console = Console(highlight=False, soft_wrap=True)
Tell = Callable[[str], None]


@contextmanager
def step(title: str) -> Iterator[Tell]:
    """Shows the title with a spinner, then with a mark and the time. What is told last is shown beside it."""
    began, detail = time.monotonic(), ""

    def tell(text: str) -> None:
        nonlocal detail
        detail = text
        status.update(_line(title, text))

    with console.status(title) as status:
        try:
            yield tell
        except BaseException:
            console.print(f"[red]✗[/] {_line(title, detail)}")
            raise
    took_s = time.monotonic() - began
    console.print(f"[green]✓[/] {_line(title, detail)} [dim]{took_s:.1f} s[/]")


def _line(title: str, detail: str) -> str:
    return f"{title} [dim]{detail}[/]" if detail else title
