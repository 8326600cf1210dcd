"""What holds for every page: the policy that lets no foreign script run, colours without a flash, errors in our design."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.conf import settings
from django.test import Client

from store.accounts.models import User

TEMPLATES = sorted((settings.BASE_DIR / "templates").rglob("*.html"))
FRONTEND = settings.BASE_DIR / "frontend"
DATA_ONLY = re.compile(r"<script[^>]*\btype=[\"']application/json[\"']")


def policy(client: Client, address: str) -> dict[str, str]:
    header = client.get(address)["Content-Security-Policy"]
    return {name: rest for name, _space, rest in (part.strip().partition(" ") for part in header.split(";"))}


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/", "/models", "/nope", "/accounts/login/"])
def test_pages_run_their_own_script_and_style_only(client: Client, address: str) -> None:
    said = policy(client, address)
    assert said["default-src"] == "'none'"
    assert said["script-src"] == said["style-src"] == said["connect-src"] == "'self'"
    assert said["frame-ancestors"] == said["base-uri"] == "'none'"


@pytest.mark.django_db
def test_the_admin_alone_is_allowed_more_and_no_inline_script(client: Client, admin: User) -> None:
    TOTP.activate(admin, generate_totp_secret())
    client.force_login(admin)
    said = policy(client, "/admin/")
    assert said["script-src"] == "'self' 'unsafe-eval'"
    assert said["style-src"] == "'self' 'unsafe-inline'"
    assert policy(client, "/settings")["script-src"] == "'self'"


NAMES = {"CSV", "PDF", "Parquet", "UTC"}  # the same in every language


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: str(file.relative_to(settings.BASE_DIR / "templates")))
def test_a_template_has_no_inline_script_or_style(template: Path) -> None:
    text = template.read_text()
    for tag in re.findall(r"<script\b[^>]*>", text):
        assert "src=" in tag or DATA_ONLY.match(tag), tag
    assert not re.search(r"<style\b|\sstyle\s*=|\son[a-z]+\s*=|javascript:|\shx-on|\shx-vals=.js:", text)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: str(file.relative_to(settings.BASE_DIR / "templates")))
def test_the_words_of_a_template_are_marked_for_translation(template: Path) -> None:
    text = re.sub(
        r"{% blocktranslate.*?endblocktranslate %}|{#.*?#}|{%.*?%}|{{.*?}}", " ", template.read_text(), flags=re.DOTALL
    )
    text = re.sub(r"<(script|svg|code)\b.*?</\1>|<!--.*?-->|<[^>]*>", " ", text, flags=re.DOTALL)
    text = re.sub(r'\bdata-[a-z-]+="', " ", text)  # of a part that is included inside of a tag
    bare = set(re.findall(r"[A-Za-z]{3,}", re.sub(r"&\w+;", " ", text)))
    assert not bare - NAMES, bare


@pytest.mark.django_db
@pytest.mark.parametrize(("cookie", "attribute"), [("dark", 'data-theme="dark"'), ("light", 'data-theme="light"')])
def test_the_colours_are_in_the_page_before_any_script(client: Client, cookie: str, attribute: str) -> None:
    client.cookies["theme"] = cookie
    assert attribute in client.get("/").content.decode().split("<head>")[0]


@pytest.mark.django_db
@pytest.mark.parametrize("cookie", ["system", "", '"><script>'])
def test_a_theme_that_is_none_is_the_systems(client: Client, cookie: str) -> None:
    client.cookies["theme"] = cookie
    assert "data-theme=" not in client.get("/").content.decode().split("<head>")[0]


@pytest.mark.django_db
@pytest.mark.urls("tests.store.console.broken_urls")
def test_a_page_that_breaks_says_so_in_our_design(client: Client) -> None:
    client.raise_request_exception = False
    response = client.get("/broken")
    assert response.status_code == 500
    assert "Something broke on our side" in response.content.decode()
    assert 'class="site-header"' in response.content.decode()


@pytest.mark.django_db
def test_a_language_without_a_catalogue_is_not_half_spoken(client: Client) -> None:
    page = client.get("/accounts/login/", headers={"Accept-Language": "zh-Hans"}).content.decode()
    assert '<html lang="en"' in page
    assert "Sign In" in page


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((FRONTEND / "package-lock.json").read_text())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]
    fetched = [package for name, package in lock["packages"].items() if name and not package.get("inBundle")]
    assert all("integrity" in package for package in fetched)
