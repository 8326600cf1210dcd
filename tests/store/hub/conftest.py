"""A store that serves the Hub protocol in this process, on a free port, and the people who use it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from django.core.management import call_command
from django.db import connection, connections
from huggingface_hub import HfApi, constants, hf_api
from pytest_django import Settings
from pytest_django.plugin import DjangoDbBlocker

from store.accounts.models import Membership, Organization, ProviderProfile, Role, TokenScope, User
from store.accounts.tokens import issue_token
from store.api.handler import Handler
from store.catalog.actions import publish_folder
from store.catalog.models import Listing, Release, Weights
from tests.conftest import make_user
from tests.servers import Servers
from tests.store.catalog.conftest import PRICE
from tests.store.catalog.folders import write_folder


@dataclass
class Hub:
    """``acme`` is a provider: ``provider`` owns it, ``viewer`` reads it, ``stranger`` has nothing to do with it."""

    url: str
    provider: User
    viewer: User
    stranger: User
    acme: Organization
    tokens: dict[str, str] = field(default_factory=dict)

    def token(self, user: User, *scopes: str) -> str:
        """A token of the user; with read and write where no scope is named."""
        wanted = scopes or (TokenScope.READ, TokenScope.WRITE)
        key = f"{user.pk}:{'+'.join(wanted)}"
        if key not in self.tokens:
            self.tokens[key] = issue_token(user=user, name="test", scopes=wanted).secret
        return self.tokens[key]

    def api(self, user: User | None, *scopes: str) -> HfApi:
        """The client that the user has; without one, a stranger's who shows no token."""
        return HfApi(endpoint=self.url, token=self.token(user, *scopes) if user else False)

    def bearer(self, user: User, *scopes: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(user, *scopes)}"}

    def environment(self, user: User, cache: Path) -> dict[str, str]:
        """What a person sets before they use the client's command line."""
        return {
            **os.environ,
            "HF_ENDPOINT": self.url,
            "HF_TOKEN": self.token(user),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HOME": str(cache),
        }

    def run(self, user: User, cache: Path, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A command of ``hf``."""
        hf = str(Path(sys.executable).with_name("hf"))
        environment = self.environment(user, cache) | more
        return subprocess.run([hf, *command], env=environment, capture_output=True, text=True, timeout=180, check=False)

    def publish(self, folder: Path, slug: str, *, weights: Weights = Weights.OPEN, is_private: bool = False) -> Release:
        """``acme/<slug>`` on the shelf."""
        release = publish_folder(
            organization=self.acme, user=None, folder=folder, slug=slug, price=PRICE, is_private=is_private
        )
        Listing.objects.filter(pk=release.listing_id).update(weights=weights)
        release.listing.refresh_from_db()
        return release

    def publish_base(self) -> Release:
        """``acme/base``, of which others are made."""
        with tempfile.TemporaryDirectory() as folder:
            return self.publish(write_folder(Path(folder), seed=99), "base")


@pytest.fixture(scope="module")
def hub(
    servers: Servers,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Hub]:
    """One store for a module: what a test commits, the next one sees, so each has models of its own."""
    patch = pytest.MonkeyPatch()
    patch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)  # its threads leave no connection behind
    patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    patch.setattr(constants, "HF_HUB_CACHE", str(tmp_path_factory.mktemp("cache")))
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    # As HF_ENDPOINT sets it before the client is imported, for those of its parts that take no endpoint.
    patch.setattr(constants, "ENDPOINT", url)
    patch.setattr(hf_api.api, "endpoint", url)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    server = uvicorn.Server(uvicorn.Config(Handler(), lifespan="off", log_level="warning", loop="asyncio"))
    thread = threading.Thread(target=server.run, args=([listener],))
    with django_db_blocker.unblock():
        thread.start()
        provider, viewer, stranger = (make_user(name) for name in ("provider", "viewer", "stranger"))
        acme = Organization.objects.create(slug="acme", name="Acme")
        ProviderProfile.objects.create(organization=acme)
        ProviderProfile.objects.create(organization=provider.personal_organization)
        Membership.objects.create(organization=acme, user=provider, role=Role.OWNER)
        Membership.objects.create(organization=acme, user=viewer, role=Role.VIEWER)
        yield Hub(url, provider, viewer, stranger, acme)
        server.should_exit = True
        thread.join()
        listener.close()
        patch.undo()
        call_command("flush", interactive=False, verbosity=0)
        connection.close()


@pytest.fixture(autouse=True)
def db(hub: Hub, settings: Settings) -> None:
    """In the place of pytest-django's: a live store's rows are committed, so no transaction goes round a test."""
    settings.PUBLIC_URL = hub.url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "tiny")
