"""What a new store has to show: a provider with the sample model, a consumer with test money and a key, an admin.

Everything is looked for before it is made, so running it again changes nothing; ``demo.json`` keeps the secrets, for their owner only.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from store.accounts.actions import become_provider, ensure_personal_organization, sign_up
from store.accounts.models import Membership, Organization, Role, User
from store.billing.actions import top_up_test
from store.catalog.actions import PriceSpec, PublishProgress, publish_folder
from store.catalog.models import Listing
from store.keys.actions import issue_key
from store.keys.authenticate import read_grants
from store.keys.secret import digest_of

SAMPLE = settings.BASE_DIR / "inference" / "sample" / "bard"
PROVIDER = ("globe", "The Globe")
PRICE = PriceSpec(  # 0.10, 0.05, 0.40 USD a million tokens, 2 USD trained; fine-tunes may be sold for a tenth of what they take
    input_nano=100_000_000,
    cached_input_nano=50_000_000,
    output_nano=400_000_000,
    training_nano=2_000_000_000,
    derivatives_allowed=True,
    royalty_ppm=100_000,
)
CREDIT_NANO = 10 * 10**9  # 10 USD of test money
EMAILS = {role: f"{role}@example.com" for role in ("admin", "provider", "consumer")}


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What ``demo.json`` holds."""

    url: str
    model: str
    admin: dict[str, str]
    provider: dict[str, str]
    consumer: dict[str, str]


def make_demo(path: Path, *, on_progress: Any = lambda _progress: None) -> Demo:
    """Makes what is missing, and writes ``path``. Raises what publishing raises."""
    said = _read(path)
    users = {role: _ensure_user(role, str(said.get(role, {}).get("password", ""))) for role in EMAILS}
    listing = _ensure_model(users["provider"][0], on_progress)
    consumer = users["consumer"][0]
    api_key = _ensure_key(consumer, listing, str(said.get("consumer", {}).get("api_key", "")))
    signed_in = {role: {"email": user.email, "password": password} for role, (user, password) in users.items()}
    signed_in["consumer"]["api_key"] = api_key
    demo = Demo(url=settings.PUBLIC_URL, model=listing.name, **signed_in)
    _write(path, demo)
    return demo


def _read(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _write(path: Path, demo: Demo) -> None:
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with open(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        json.dump(asdict(demo), file, indent=2)
        file.write("\n")
    partial.replace(path)


def _ensure_user(role: str, password: str) -> tuple[User, str]:
    """The user and a password that opens the account: the one we know, while it is right."""
    user = User.objects.filter(email=EMAILS[role]).first()
    if user and password and user.check_password(password):
        return user, password
    password = secrets.token_urlsafe(12)
    if user:
        user.set_password(password)
        user.save(update_fields=["password"])
        return user, password
    is_admin = role == "admin"
    made = sign_up(
        email=EMAILS[role],
        password=password,
        name=role.title(),
        is_staff=is_admin,
        is_superuser=is_admin,
        is_verified=True,
    )
    return made, password


def _ensure_model(provider: User, on_progress: Any) -> Listing:
    slug, name = PROVIDER
    organization, _is_new = Organization.objects.get_or_create(slug=slug, defaults={"name": name})
    Membership.objects.get_or_create(organization=organization, user=provider, defaults={"role": Role.OWNER})
    if not hasattr(organization, "provider"):
        become_provider(organization=organization, user=provider, about="Verse by the token.")
    before = Listing.objects.filter(organization=organization, slug=SAMPLE.name).first()
    if before:  # the provider's own changes since then stay
        return before
    return publish_folder(
        organization=organization, user=provider, folder=SAMPLE, slug=SAMPLE.name, price=PRICE, on_progress=on_progress
    ).listing


def _ensure_key(consumer: User, listing: Listing, known: str) -> str:
    organization = ensure_personal_organization(consumer)
    if not organization.topups.exists() and settings.TEST_MONEY:
        top_up_test(organization=organization, user=consumer, amount_nano=CREDIT_NANO)
    digest = digest_of(known)
    if digest and listing.pk in getattr(read_grants([digest]).get(digest), "listing_ids", ()):
        return known
    return issue_key(organization=organization, user=consumer, name="Demo", listings=[listing]).secret


def show_bytes(progress: PublishProgress) -> str:
    """``"12 of 28 MB"``."""
    return f"{progress.done / 1e6:.0f} of {progress.total / 1e6:.0f} MB" if progress.total else progress.step
