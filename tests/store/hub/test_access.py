"""Who may see and download what: open, gated and closed weights, private models, drafts beside what was published."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from store.catalog.models import AccessRequest, AccessStatus, Release, Weights
from tests.store.catalog.folders import write_folder
from tests.store.hub.conftest import Hub

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


@pytest.fixture(scope="module")
def models(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Release]:
    """A model of each kind, with a picture, a licence and the provider's own test text."""
    made = {}
    for seed, weights in enumerate(Weights, start=31):
        folder = write_folder(tmp_path_factory.mktemp(weights), seed=seed)
        (folder / "held_out.txt").write_text("To be, or not to be.\n")
        (folder / "LICENSE").write_text("Apache License 2.0\n")
        (folder / "plot.png").write_bytes(PNG)
        made[weights.value] = hub.publish(folder, weights.value, weights=weights)
    hub.publish(write_folder(tmp_path_factory.mktemp("private"), seed=41), "private", is_private=True)
    return made


def names(folder: str) -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


def test_open_weights_are_everybodys_but_the_held_out_text(
    hub: Hub, models: dict[str, Release], tmp_path: Path
) -> None:
    got = hub.api(None).snapshot_download("acme/open", cache_dir=tmp_path)
    assert "model.safetensors" in names(got)
    assert "held_out.txt" not in names(got)
    assert not hub.api(None).file_exists("acme/open", "held_out.txt")
    assert hub.api(hub.viewer).file_exists("acme/open", "held_out.txt")


@pytest.mark.parametrize("who", ["stranger", "nobody"])
def test_closed_weights_are_refused_with_what_can_be_done(hub: Hub, models: dict[str, Release], who: str) -> None:
    api = hub.api(hub.stranger if who == "stranger" else None)
    for path in ("README.md", "config.json", "LICENSE", "plot.png"):
        assert Path(api.hf_hub_download("acme/closed", path)).stat().st_size > 0
    for path in ("model.safetensors", "tokenizer.json"):
        with pytest.raises(GatedRepoError, match="is called here and is not for download") as raised:
            api.hf_hub_download("acme/closed", path)
        assert raised.value.response.status_code == 403
    with pytest.raises(GatedRepoError):
        api.snapshot_download("acme/closed")
    assert api.model_info("acme/closed").gated == "manual"
    assert api.repo_exists("acme/closed")


def test_a_gated_model_is_for_those_who_were_let_in_while_they_are(hub: Hub, models: dict[str, Release]) -> None:
    api = hub.api(hub.stranger)
    with pytest.raises(GatedRepoError, match="given on request"):
        api.hf_hub_download("acme/gated", "model.safetensors")
    with pytest.raises(GatedRepoError):
        hub.api(None).hf_hub_download("acme/gated", "model.safetensors")
    access = AccessRequest.objects.create(
        listing=models["gated"].listing, user=hub.stranger, status=AccessStatus.GRANTED
    )
    assert Path(api.hf_hub_download("acme/gated", "model.safetensors")).stat().st_size > 0
    api.auth_check("acme/gated")
    AccessRequest.objects.filter(pk=access.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(GatedRepoError):
        api.auth_check("acme/gated")


def test_a_private_model_is_not_there_for_others(hub: Hub, models: dict[str, Release]) -> None:
    for user in (hub.stranger, None):
        api = hub.api(user)
        with pytest.raises(RepositoryNotFoundError) as raised:
            api.model_info("acme/private")
        assert raised.value.response.status_code == (404 if user else 401)
        assert not api.repo_exists("acme/private")
        assert not api.file_exists("acme/private", "README.md")
        with pytest.raises(RepositoryNotFoundError):
            api.snapshot_download("acme/private")
    assert hub.api(hub.viewer).repo_exists("acme/private")


def test_what_is_missing_has_an_exception_of_its_own(hub: Hub, models: dict[str, Release]) -> None:
    api = hub.api(hub.stranger)
    with pytest.raises(RemoteEntryNotFoundError):
        api.hf_hub_download("acme/open", "nothing.json")
    with pytest.raises(RemoteEntryNotFoundError):
        list(api.list_repo_tree("acme/open", "nothing"))
    with pytest.raises(RevisionNotFoundError):
        api.hf_hub_download("acme/open", "README.md", revision="nothing")
    with pytest.raises(RevisionNotFoundError):
        api.model_info("acme/open", revision="refs/pr/1")
    with pytest.raises(RepositoryNotFoundError):
        api.hf_hub_download("acme/nothing", "README.md")
    with pytest.raises(LocalEntryNotFoundError):
        api.hf_hub_download("acme/open", "tokenizer_config.json", local_files_only=True)
    assert api.file_exists("acme/open", "README.md")
    assert not api.file_exists("acme/open", "ü.txt")
    assert not api.revision_exists("acme/open", "nothing")
    assert api.revision_exists("acme/open", models["open"].digest)


def test_a_bad_token_is_401_also_where_none_is_needed(hub: Hub, models: dict[str, Release]) -> None:
    with pytest.raises(HfHubHTTPError, match="Invalid credentials") as raised:
        HfApi(endpoint=hub.url, token="gsu_wrong").model_info("acme/open")
    assert raised.value.response.status_code == 401
    assert not isinstance(raised.value, RepositoryNotFoundError)


def test_others_see_what_was_published_and_makers_their_draft(hub: Hub, models: dict[str, Release]) -> None:
    makers, others = hub.api(hub.provider), hub.api(hub.stranger)
    published = others.model_info("acme/open").sha
    draft = makers.upload_file(repo_id="acme/open", path_in_repo="NOTICE", path_or_fileobj=b"soon\n").oid
    makers.create_branch("acme/open", branch="next")
    makers.create_tag("acme/open", tag="v1", revision=published)
    assert makers.model_info("acme/open").sha == draft
    assert others.model_info("acme/open").sha == published
    assert "NOTICE" not in others.list_repo_files("acme/open")
    for hidden in (draft, "next"):
        with pytest.raises(RevisionNotFoundError):
            others.list_repo_files("acme/open", revision=hidden)
    refs = others.list_repo_refs("acme/open")
    assert [(ref.name, ref.target_commit) for ref in (*refs.branches, *refs.tags)] == [
        ("main", published),
        ("v1", published),
    ]
    assert [commit.commit_id for commit in others.list_repo_commits("acme/open")] == [published]
    assert [commit.commit_id for commit in makers.list_repo_commits("acme/open")][:2] == [draft, published]
