"""A server on a thread of this process, with files in a folder of the test, and a provider who sends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from allauth.account.models import EmailAddress
from pytest_django import Settings
from pytest_django.plugin import DjangoDbBlocker

from store.accounts.models import AccessToken, Membership, Organization, TokenScope, User
from store.accounts.tokens import issue_token
from store.api.handler import Handler
from store.catalog.models import Blob, OrganizationBlob, StorageUse
from store.uploads.models import Upload
from tests.conftest import make_user
from tests.store.uploads.tus_client import TusClient


@pytest.fixture(autouse=True)
def files(settings: Settings, tmp_path: Path) -> Path:
    """Where the bytes of this test lie: ``uploads`` and ``files``."""
    settings.DATA_DIR = tmp_path
    default = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path / "files"}}
    settings.STORAGES = {**settings.STORAGES, "default": default}
    return tmp_path


@pytest.fixture(scope="package")
def server() -> Iterator[str]:
    """The store's ASGI application, without its gateway."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(Handler(), lifespan="off", log_level="warning", http="httptools", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def committed(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Rows that the server's threads can see. What a sender leaves behind is deleted: emptying all tables would take far longer.

    Modules with a server import it as ``db``: by that name the database is made for them.
    """
    with django_db_blocker.unblock():
        yield
        for model in (
            Upload,
            OrganizationBlob,
            Blob,
            StorageUse,
            AccessToken,
            EmailAddress,
            Membership,
            Organization,
            User,
        ):
            model._base_manager.all().delete()


@pytest.fixture
def organization(db: None) -> Organization:
    """The sender's, ``provider``."""
    return make_user("provider").personal_organization


@pytest.fixture
def sender(server: str, organization: Organization) -> Iterator[TusClient]:
    """May write for the organization."""
    assert organization.personal_of
    issued = issue_token(user=organization.personal_of, name="test", scopes=[TokenScope.WRITE])
    client = TusClient(server, issued.secret)
    yield client
    client.http.close()


def use_of(organization: Organization) -> tuple[int, int]:
    """Bytes used and reserved."""
    row = StorageUse.objects.get(organization=organization)
    return row.used_bytes, row.reserved_bytes
