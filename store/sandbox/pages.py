"""The page on which a customer pays with a test card, and the one on which who sells says where the money goes."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

from django.template.loader import render_to_string

from store.sandbox import onboarding, paying
from store.sandbox.answers import Page
from store.sandbox.errors import ApiError

STYLE = Path(__file__).with_name("pages.css")


def show(method: str, path: str, body: str) -> Page:
    """Any address that is not the API's."""
    if path == "/pages.css":
        return Page(body=STYLE.read_text(), content_type="text/css; charset=utf-8")
    kind, _slash, id = path.removeprefix("/").partition("/")
    if kind not in ("pay", "connect") or not id or "/" in id:
        return _error("There is no such page.", 404)
    form = {name: values[0] for name, values in parse_qs(body).items()}
    try:
        if kind == "connect":
            return onboarding.answer(id, form) if method == "POST" else onboarding.begin(id)
        return _pay(id, form) if method == "POST" else _shown(paying.form_of(id))
    except ApiError as error:
        return _error(str(error), error.status)


def _pay(id: str, form: dict[str, str]) -> Page:
    done = paying.answer(id, form)
    return Page(status=303, headers={"location": done}) if isinstance(done, str) else _shown(done)


def _shown(shown: paying.Shown) -> Page:
    return Page(status=shown[0], body=shown[1])


def _error(message: str, status: int) -> Page:
    return Page(body=render_to_string("sandbox/error.html", {"message": message}), status=status)
