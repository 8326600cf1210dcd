"""The OpenAPI schema: whole, without a warning, and describing what is there."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.test import Client


def test_the_schema_has_no_warning(tmp_path: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", file=f"{tmp_path}/schema.yml", validate=True, fail_on_warn=True)
    assert "Warnings" not in capsys.readouterr().err


def test_anybody_reads_the_schema(client: Client, db: None) -> None:
    schema = client.get("/api/schema?format=json").json()
    assert schema["paths"]["/api/listings/{organization}/{slug}/submissions"]["post"]["responses"]["201"]
    assert schema["components"]["securitySchemes"]["accessToken"]["scheme"] == "bearer"
    operations = [operation for methods in schema["paths"].values() for operation in methods.values()]
    assert all("default" in operation["responses"] for operation in operations)
