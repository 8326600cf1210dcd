"""Pages of a list, as GitHub and the Hub have them: the ``Link`` header leads to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import QuerySet
from django.http import HttpRequest, JsonResponse

from store.errors import InvalidRequest

MAX_PAGE = 10_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """``next_url`` is "" on the last page."""

    items: list[T]
    next_url: str

    def respond(self, entries: list[dict[str, Any]]) -> JsonResponse:
        """The entries, with the way to the next page."""
        link = {"Link": f'<{self.next_url}>; rel="next"'} if self.next_url else {}
        return JsonResponse(entries, safe=False, headers=link)


def page_of(request: HttpRequest, items: Sequence[T] | QuerySet[Any, T], *, size: int) -> Page[T]:
    """The page that ``?p=`` names, from 0. Raises InvalidRequest."""
    try:
        number = int(request.GET.get("p", "0"))
    except ValueError:
        number = -1
    if not 0 <= number <= MAX_PAGE:
        raise InvalidRequest(f"`p` is 0 to {MAX_PAGE}.", param="p")
    found = list(items[number * size : (number + 1) * size + 1])
    query = request.GET.copy()
    query["p"] = str(number + 1)
    more = request.build_absolute_uri(f"{request.path}?{query.urlencode()}") if len(found) > size else ""
    return Page(found[:size], more)
