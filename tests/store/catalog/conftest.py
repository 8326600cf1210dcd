from __future__ import annotations

from pathlib import Path

import pytest

from store.accounts.models import Organization, ProviderProfile
from store.catalog.actions import PriceSpec
from tests.store.catalog.folders import write_folder

PRICE = PriceSpec(input_nano=500_000_000, output_nano=1_500_000_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "tiny")


@pytest.fixture
def acme(db: None) -> Organization:
    """A provider."""
    organization = Organization.objects.create(slug="acme", name="Acme")
    ProviderProfile.objects.create(organization=organization)
    return organization
