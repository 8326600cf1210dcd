"""How a test uses a browser: what it is, who signs in, and what holds on every page."""

from __future__ import annotations

import shutil
import subprocess
import sys

from django.contrib.auth.hashers import Argon2PasswordHasher
from playwright.sync_api import Page, expect

from store.accounts.models import User
from tests.stack import ROOT, Stack

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SHOP_PASSWORD = "correct horse battery"  # of the people in the shop
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
ANSWER_MS = 60_000  # a machine with much else to do


def prepare(stack: Stack) -> None:
    """Before a store's web process starts: what browsers load is collected, and all who are there have the shop's password."""
    assert CHROMIUM, "needs Chromium: tests/install_chromium.sh"
    collect = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
    subprocess.run(collect, cwd=ROOT, env=stack._environment(), check=True)
    hasher = Argon2PasswordHasher()  # the one that a store outside of tests knows
    User.objects.update(password=hasher.encode(SHOP_PASSWORD, hasher.salt()))


def sign_in(page: Page, email: str = "consumer@example.com", password: str = SHOP_PASSWORD) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign In", exact=True).click()
    expect(page.locator(".balance")).to_be_visible()


def check(page: Page, addresses: list[str]) -> None:
    for address in addresses:
        answer = page.goto(address)
        assert answer
        assert answer.status == 200, address
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, (
            address
        )
        assert page.evaluate(TOO_SMALL) == [], address


TOO_SMALL = """() => [...document.querySelectorAll("main :is(a.btn, button, input, select, textarea, summary, .nav-link), .site-header a")]
  .filter((each) => each.checkVisibility() && !each.matches("[type=checkbox], [type=radio], .skip-link"))
  .filter((each) => each.getBoundingClientRect().height < 43.5)
  .map((each) => each.outerHTML.slice(0, 120))"""
