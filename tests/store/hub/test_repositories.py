"""Repositories, branches and tags, by the Hub's own client."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    BadRequestError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from store.catalog.models import Listing, ListingStatus, Weights
from tests.store.hub.conftest import Hub


def test_whoami_names_the_user_their_organizations_and_what_the_token_may(hub: Hub) -> None:
    me = hub.api(hub.provider).whoami()
    assert (me["type"], me["name"], me["fullname"], me["email"]) == (
        "user",
        "provider",
        "Provider",
        "provider@example.com",
    )
    assert [(org["name"], org["roleInOrg"]) for org in me["orgs"]] == [("acme", "admin")]
    assert me["auth"]["accessToken"] == {"displayName": "test", "role": "write"}
    assert hub.api(hub.viewer, "read").whoami()["auth"]["accessToken"]["role"] == "read"


def test_whoami_with_a_wrong_token_says_so(hub: Hub) -> None:
    with pytest.raises(HfHubHTTPError, match="Invalid user token") as raised:
        HfApi(endpoint=hub.url, token="gsu_wrong").whoami()
    assert raised.value.response.status_code == 401


def test_a_new_repository_is_an_empty_draft(hub: Hub) -> None:
    url = hub.api(hub.provider).create_repo("acme/new", private=True)
    assert (str(url), url.repo_id, url.repo_type) == (f"{hub.url}/acme/new", "acme/new", "model")
    listing = Listing.objects.named("acme/new").get()
    assert (listing.status, listing.is_private) == (ListingStatus.DRAFT, True)
    assert hub.api(hub.provider).list_repo_files("acme/new") == []


def test_without_a_namespace_it_is_the_users_own(hub: Hub) -> None:
    assert hub.api(hub.provider).create_repo("mine").repo_id == "provider/mine"


def test_a_repository_that_is_there_is_409_or_taken_as_it_is(hub: Hub) -> None:
    api = hub.api(hub.provider)
    first = api.create_repo("acme/twice")
    with pytest.raises(HfHubHTTPError, match="already created") as raised:
        api.create_repo("acme/twice")
    assert raised.value.response.status_code == 409
    assert api.create_repo("acme/twice", exist_ok=True) == first


@pytest.mark.parametrize("name", ["Bard", "bard.v2", "1_.bard"])
def test_a_name_that_cannot_be_is_refused_with_the_rule(hub: Hub, name: str) -> None:
    with pytest.raises(BadRequestError, match="small letters, digits") as raised:
        hub.api(hub.provider).create_repo(f"acme/{name}")
    assert raised.value.response.json()["code"] == "invalid_request"


@pytest.mark.parametrize("name", ["b" * 97, "\0", "bard\n", "書", "", "a/b", "..", 7, None, ["bard"]])
def test_a_name_that_no_client_lets_through_is_refused_too(hub: Hub, name: object) -> None:
    body = {"name": name, "organization": "acme"}
    answer = httpx.post(f"{hub.url}/api/repos/create", json=body, headers=hub.bearer(hub.provider))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("kind", ["dataset", "space"])
def test_other_kinds_of_repositories_are_refused_with_a_sentence(hub: Hub, kind: str) -> None:
    with pytest.raises(HfHubHTTPError, match="keeps models only"):
        hub.api(hub.provider).create_repo("acme/data", repo_type=kind, space_sdk="static")
    with pytest.raises(HfHubHTTPError, match="keeps models only"):
        hub.api(hub.provider).list_repo_files("acme/data", repo_type=kind)


def test_a_stranger_makes_nothing_in_anothers_organization(hub: Hub) -> None:
    with pytest.raises(RepositoryNotFoundError):
        hub.api(hub.stranger).create_repo("acme/theirs")
    with pytest.raises(HfHubHTTPError, match="not a provider yet") as raised:
        hub.api(hub.stranger).create_repo("stranger/mine")
    assert raised.value.response.status_code == 403


def test_a_token_for_reading_does_not_write(hub: Hub) -> None:
    with pytest.raises(HfHubHTTPError, match="has no right to write") as raised:
        hub.api(hub.provider, "read").create_repo("acme/readonly")
    assert raised.value.response.status_code == 403


def test_settings_make_private_and_gated(hub: Hub, folder: Path) -> None:
    listing = hub.publish(folder, "set").listing
    api = hub.api(hub.provider)
    api.update_repo_settings("acme/set", private=True, gated="manual")
    info = api.model_info("acme/set")
    assert (info.private, info.gated) == (True, "manual")
    with pytest.raises(RepositoryNotFoundError):
        hub.api(hub.stranger).model_info("acme/set")
    api.update_repo_settings("acme/set", private=False, gated="auto")
    assert hub.api(hub.stranger).model_info("acme/set").gated == "auto"
    api.update_repo_settings("acme/set", gated=False)
    listing.refresh_from_db()
    assert listing.weights == Weights.OPEN
    with pytest.raises(HfHubHTTPError) as raised:
        hub.api(hub.viewer).update_repo_settings("acme/set", private=True)
    assert raised.value.response.status_code == 403


def test_a_deleted_repository_is_gone_and_its_name_stays_its_owners(hub: Hub, folder: Path) -> None:
    release = hub.publish(folder, "doomed")
    api = hub.api(hub.provider)
    api.delete_repo("acme/doomed")
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("acme/doomed")
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo("acme/doomed")
    api.delete_repo("acme/doomed", missing_ok=True)
    api.create_repo("acme/doomed", private=False)
    release.listing.refresh_from_db()
    assert (release.listing.status, release.listing.deleted_at) == (ListingStatus.WITHDRAWN, None)
    assert api.list_repo_files("acme/doomed") == []
    assert len(api.list_repo_files("acme/doomed", revision=release.digest)) == 5  # the books keep it


def test_auth_check_tells_reading_from_writing(hub: Hub, folder: Path) -> None:
    hub.publish(folder, "checked", weights=Weights.CLOSED)
    hub.api(hub.viewer).auth_check("acme/checked")
    hub.api(hub.provider).auth_check("acme/checked", write=True)
    with pytest.raises(HfHubHTTPError) as raised:
        hub.api(hub.viewer).auth_check("acme/checked", write=True)
    assert raised.value.response.status_code == 403
    with pytest.raises(GatedRepoError):
        hub.api(hub.stranger).auth_check("acme/checked")
    with pytest.raises(RepositoryNotFoundError):
        hub.api(hub.stranger).auth_check("acme/nothing")


def test_branches_and_tags_come_and_go(hub: Hub) -> None:
    api = hub.api(hub.provider)
    api.create_repo("acme/refs")
    first = api.upload_file(repo_id="acme/refs", path_in_repo="README.md", path_or_fileobj=b"# One\n").oid
    api.create_tag("acme/refs", tag="v1", tag_message="the first")
    api.create_branch("acme/refs", branch="dev")
    second = api.upload_file(
        repo_id="acme/refs", path_in_repo="README.md", path_or_fileobj=b"# Two\n", revision="dev"
    ).oid
    refs = api.list_repo_refs("acme/refs", include_pull_requests=True)
    assert {ref.name: ref.target_commit for ref in refs.branches} == {"main": first, "dev": second}
    assert [(ref.name, ref.ref, ref.target_commit) for ref in refs.tags] == [("v1", "refs/tags/v1", first)]
    api.create_branch("acme/refs", branch="old", revision="v1")
    assert api.model_info("acme/refs", revision="old").sha == first
    for name in ("dev", "old"):
        api.delete_branch("acme/refs", branch=name)
    api.delete_tag("acme/refs", tag="v1")
    refs = api.list_repo_refs("acme/refs")
    assert ([ref.name for ref in refs.branches], refs.tags) == (["main"], [])


def test_a_ref_twice_is_409_and_one_that_is_not_there_is_revision_not_found(hub: Hub) -> None:
    api = hub.api(hub.provider)
    api.create_repo("acme/conflict")
    api.create_tag("acme/conflict", tag="v1")
    again: list[Callable[[], None]] = [
        lambda: api.create_tag("acme/conflict", tag="v1"),
        lambda: api.create_branch("acme/conflict", branch="main"),
    ]
    for call in again:
        with pytest.raises(HfHubHTTPError) as raised:
            call()
        assert raised.value.response.status_code == 409
    api.create_tag("acme/conflict", tag="v1", exist_ok=True)
    api.create_branch("acme/conflict", branch="main", exist_ok=True)
    for call in (
        lambda: api.delete_tag("acme/conflict", tag="v9"),
        lambda: api.delete_branch("acme/conflict", branch="nothing"),
        lambda: api.create_branch("acme/conflict", branch="x", revision="nothing"),
    ):
        with pytest.raises(RevisionNotFoundError):
            call()
    with pytest.raises(HfHubHTTPError, match="main cannot be deleted"):
        api.delete_branch("acme/conflict", branch="main")


@pytest.mark.parametrize("name", ["feature/x", "refs/pr/1", "ü", "a b", "a..b", "x" * 101, "a" * 40])
def test_a_ref_that_cannot_be_named_so_is_refused(hub: Hub, name: str) -> None:
    api = hub.api(hub.provider)
    api.create_repo("acme/named", exist_ok=True)
    with pytest.raises(BadRequestError, match="is named with letters"):
        api.create_branch("acme/named", branch=name)
    with pytest.raises(BadRequestError, match="is named with letters"):
        api.create_tag("acme/named", tag=name)


def test_a_name_is_for_ever_and_a_copy_is_an_upload(hub: Hub) -> None:
    api = hub.api(hub.provider)
    api.create_repo("acme/fixed")
    with pytest.raises(BadRequestError, match="keeps its name"):
        api.move_repo("acme/fixed", "acme/moved")
    with pytest.raises(BadRequestError, match="upload it under the new name"):
        api.duplicate_repo("acme/fixed", "acme/copied")
