from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from django.core.asgi import get_asgi_application
from django.db import connections
from pytest_django import Settings

from store.accounts.models import Organization, ProviderProfile
from store.catalog.actions import publish_folder
from store.catalog.models import Release
from tests.store.catalog.conftest import PRICE
from tests.store.catalog.folders import write_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "tiny")


@pytest.fixture
def release(transactional_db: None, folder: Path) -> Release:
    """acme/tiny."""
    acme = Organization.objects.create(slug="acme", name="Acme")
    ProviderProfile.objects.create(organization=acme)
    return publish_folder(organization=acme, user=None, folder=folder, slug="tiny", price=PRICE)


@pytest.fixture
def endpoint(transactional_db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A store that serves the Hub protocol, on a free port."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)  # its threads leave no connection behind
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(get_asgi_application(), lifespan="off", log_level="warning", loop="asyncio"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listener.close()
