"""The store's people set what an organization may keep, and nothing else."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.messages.storage.fallback import FallbackStorage
from django.test import RequestFactory

from store.accounts.models import Organization, User
from store.catalog.models import StorageUse
from store.catalog.storage import reserve, storage_use
from store.uploads.admin import LimitForm, StorageUseAdmin


@pytest.fixture
def organization(provider: User) -> Organization:
    return provider.personal_organization


def form_for(use: StorageUse, limit: int) -> LimitForm:
    return LimitForm({"limit_bytes": str(limit)}, instance=use)


def test_only_the_limit_can_be_changed(organization: Organization) -> None:
    use = storage_use(organization)
    assert list(form_for(use, 5).fields) == ["limit_bytes"]
    assert form_for(use, 5).is_valid()
    assert not form_for(use, -1).is_valid()


def test_a_limit_below_what_is_on_its_way_is_refused(organization: Organization) -> None:
    reserve(organization, 100)
    assert not form_for(storage_use(organization), 99).is_valid()
    assert form_for(storage_use(organization), 100).is_valid()


def test_saving_a_limit_writes_back_no_old_counter(organization: Organization, rf: RequestFactory) -> None:
    shown = storage_use(organization)
    reserve(organization, 100)
    form = form_for(shown, 50)
    assert form.is_valid()
    page = StorageUseAdmin(StorageUse, admin.site)
    request = rf.post("/")
    request.session = {}  # type: ignore[assignment]
    request._messages = FallbackStorage(request)  # type: ignore[attr-defined]
    page.save_model(request, form.save(commit=False), form, change=True)
    now = StorageUse.objects.get()
    assert (now.reserved_bytes, now.limit_bytes > 100) == (100, True)
    shown.limit_bytes = 150
    page.save_model(request, shown, form, change=True)
    now.refresh_from_db()
    assert (now.reserved_bytes, now.limit_bytes) == (100, 150)
