"""The verbs of repositories, without a protocol around them."""

from __future__ import annotations

import hashlib

import pytest

from inference.manifest import FileEntry
from store.accounts.models import Organization, User
from store.catalog.actions.commits import commit_oid
from store.catalog.actions.errors import NotInThisState
from store.catalog.actions.repositories import (
    AddFile,
    BranchMoved,
    CommitRefused,
    CopyFile,
    DeleteFile,
    FileMissing,
    ListingExists,
    RevisionMissing,
    commit_at,
    commit_files,
    create_branch,
    create_listing,
    create_tag,
    delete_listing,
    files_at,
)
from store.catalog.actions.submissions import submit_commit
from store.catalog.blobs import store_data
from store.catalog.models import Commit, Listing, ListingStatus, RefKind, SubmissionStatus
from store.catalog.storage import keep_blob
from store.errors import InvalidRequest, NotFound
from store.keys.actions import IssuedKey


def kept(organization: Organization, text: str) -> str:
    """The SHA-256 of a text that the organization has sent."""
    data = text.encode()
    sha256 = hashlib.sha256(data).hexdigest()
    store_data(sha256, data)
    keep_blob(organization=organization, sha256=sha256, size=len(data), reserved=0)
    return sha256


@pytest.fixture
def organization(provider: User) -> Organization:
    return provider.personal_organization


@pytest.fixture
def draft(provider: User, organization: Organization) -> Listing:
    return create_listing(organization=organization, user=provider, slug="draft")


def add(listing: Listing, user: User, path: str, text: str, **more: str) -> Commit:
    sha256 = kept(listing.organization, text)
    return commit_files(listing=listing, user=user, changes=[AddFile(path, sha256)], title="add a file", **more)


def paths(commit: Commit | None) -> list[str]:
    assert commit is not None
    return [file.path for file in files_at(commit)]


def test_a_draft_has_an_empty_commit_on_main(draft: Listing) -> None:
    assert (draft.status, draft.is_private, draft.title) == (ListingStatus.DRAFT, True, "draft")
    assert paths(commit_at(draft, "main")) == []


def test_a_commit_has_all_files_and_its_parent(draft: Listing, provider: User) -> None:
    first = add(draft, provider, "LICENSE", "one")
    second = add(draft, provider, "NOTICE", "two")
    assert paths(second) == ["LICENSE", "NOTICE"]
    assert (second.parent, second.author, second.size) == (first, provider, 6)
    assert second.oid == commit_oid(parent=first.oid, digest=second.digest, title="add a file", message="")
    assert files_at(first) == [FileEntry("LICENSE", 3, hashlib.sha256(b"one").hexdigest())]


def test_changing_nothing_makes_no_commit(draft: Listing, provider: User) -> None:
    first = add(draft, provider, "LICENSE", "one")
    assert add(draft, provider, "LICENSE", "one") == first
    assert commit_files(listing=draft, user=provider, changes=[], title="x") == first
    assert commit_files(listing=draft, user=provider, changes=[AddFile(".gitattributes", "0" * 64)], title="x") == first
    assert draft.commits.count() == 2


def test_copies_are_of_what_was_there_before(draft: Listing, provider: User) -> None:
    first = add(draft, provider, "LICENSE", "one")
    swapped = [
        CopyFile("LICENSE", "NOTICE"),
        DeleteFile("LICENSE"),
        AddFile("LICENSE", kept(draft.organization, "two")),
    ]
    commit_files(listing=draft, user=provider, changes=swapped, title="swap")
    files = {file.path: file.size for file in files_at(commit_at(draft, "main") or first)}
    assert files == {"LICENSE": 3, "NOTICE": 3}
    back = commit_files(
        listing=draft, user=provider, changes=[CopyFile("LICENSE", "LICENSE", revision=first.oid)], title="back"
    )
    assert hashlib.sha256(b"one").hexdigest() in {file.sha256 for file in files_at(back) if file.path == "LICENSE"}
    for change, error in (
        (CopyFile("nothing", "LICENSE"), FileMissing),
        (CopyFile("LICENSE", "NOTICE", revision="nothing"), RevisionMissing),
        (DeleteFile("nothing"), FileMissing),
        (DeleteFile("folder/"), FileMissing),
    ):
        with pytest.raises(error):
            commit_files(listing=draft, user=provider, changes=[change], title="x")


def test_everything_can_go_at_once(draft: Listing, provider: User) -> None:
    add(draft, provider, "LICENSE", "one")
    assert paths(commit_files(listing=draft, user=provider, changes=[DeleteFile("/")], title="all")) == []


def test_content_that_was_never_sent_is_refused(draft: Listing, provider: User, stranger: User) -> None:
    theirs = kept(stranger.personal_organization, "theirs")
    for sha256 in (theirs, "0" * 64, "nonsense"):
        with pytest.raises(CommitRefused) as raised:
            commit_files(listing=draft, user=provider, changes=[AddFile("LICENSE", sha256)], title="x")
        assert [problem.code for problem in raised.value.problems] == ["not_uploaded"]
    assert paths(commit_at(draft, "main")) == []


@pytest.mark.parametrize(
    "path", ["../config.json", "/etc/passwd", "a\0b", "конфиг.json", "model.bin", "x" * 300, "", "a//b.png"]
)
def test_a_path_that_no_release_has_is_refused(draft: Listing, provider: User, path: str) -> None:
    with pytest.raises(CommitRefused):
        add(draft, provider, path, "one")


def test_strangers_and_readers_commit_nothing(draft: Listing, stranger: User) -> None:
    with pytest.raises(NotFound):
        commit_files(listing=draft, user=stranger, changes=[DeleteFile("/")], title="x")


def test_the_parent_must_be_there_still(draft: Listing, provider: User) -> None:
    head = commit_at(draft, "main")
    assert head is not None
    add(draft, provider, "LICENSE", "one", parent_oid=head.oid[:7])
    for parent in (head.oid, head.oid[:6], "nonsense"):
        with pytest.raises(BranchMoved):
            add(draft, provider, "LICENSE", "two", parent_oid=parent)
    with pytest.raises(RevisionMissing):
        add(draft, provider, "LICENSE", "two", branch="nothing")


def test_the_same_change_from_the_same_commit_is_the_same_commit_on_two_branches(
    draft: Listing, provider: User
) -> None:
    create_branch(listing=draft, user=provider, name="dev")
    assert add(draft, provider, "LICENSE", "one") == add(draft, provider, "LICENSE", "one", branch="dev")


def test_only_the_card_of_main_speaks_for_a_draft(draft: Listing, provider: User) -> None:
    create_branch(listing=draft, user=provider, name="dev")
    add(draft, provider, "README.md", "---\nlicense: mit\n---\n# Dev", branch="dev")
    draft.refresh_from_db()
    assert (draft.title, draft.licence) == ("draft", "")
    add(draft, provider, "README.md", "---\nlicense: mit\n---\n# Main")
    draft.refresh_from_db()
    assert (draft.title, draft.licence) == ("Main", "mit")
    for silent in ("---\nlicense: [\n---\n# Broken", "# Of few words"):
        add(draft, provider, "README.md", silent)
        draft.refresh_from_db()
        assert (draft.title, draft.licence) == ("Main", "mit")


def test_the_card_of_a_published_listing_changes_when_it_is_published(listing: Listing, provider: User) -> None:
    add(listing, provider, "README.md", "---\nlicense: mit\n---\n# Other")
    listing.refresh_from_db()
    assert (listing.title, listing.licence) == ("Bard", "apache-2.0")


def test_a_revision_is_a_branch_a_tag_or_a_commit(draft: Listing, provider: User) -> None:
    first = add(draft, provider, "LICENSE", "one")
    create_tag(listing=draft, user=provider, name="v1", message="first")
    second = add(draft, provider, "LICENSE", "two")
    assert commit_at(draft, "v1") == commit_at(draft, first.oid) == first
    assert commit_at(draft, "main") == second
    for nothing in ("v2", "0" * 40, "", "a\0b", "sha256:" + "0" * 64):
        assert commit_at(draft, nothing) is None
    assert draft.refs.get(name="v1").message == "first"


def test_a_name_is_taken_once(draft: Listing, provider: User, organization: Organization) -> None:
    with pytest.raises(ListingExists):
        create_listing(organization=organization, user=provider, slug="draft")
    for slug in ("Draft", "a b", "x" * 97, "", "a--b"):
        with pytest.raises(InvalidRequest) as raised:
            create_listing(organization=organization, user=provider, slug=slug)
        assert raised.value.param == "name"


def test_deleting_ends_what_is_under_way_and_keeps_the_name(draft: Listing, provider: User, stranger: User) -> None:
    add(draft, provider, "LICENSE", "one")
    submission = submit_commit(listing=draft, user=provider)
    with pytest.raises(NotFound):
        delete_listing(listing=draft, user=stranger)
    delete_listing(listing=draft, user=provider)
    submission.refresh_from_db()
    assert submission.status == SubmissionStatus.CANCELLED
    assert not Listing.objects.visible_to(provider).filter(pk=draft.pk).exists()
    with pytest.raises(NotFound):
        add(draft, provider, "LICENSE", "two")
    again = create_listing(organization=draft.organization, user=provider, slug="draft", is_private=False)
    assert (again.pk, again.is_private, paths(commit_at(again, "main"))) == (draft.pk, False, [])


def test_what_others_have_keys_for_is_not_deleted_at_once(
    listing: Listing, provider: User, issued_key: IssuedKey
) -> None:
    with pytest.raises(NotInThisState, match="keys"):
        delete_listing(listing=listing, user=provider)
    assert Listing.objects.public().filter(pk=listing.pk, deleted_at=None).exists()


def test_deleting_is_no_way_round_a_moderator(listing: Listing, provider: User) -> None:
    Listing.objects.filter(pk=listing.pk).update(status=ListingStatus.SUSPENDED)
    delete_listing(listing=listing, user=provider)
    again = create_listing(organization=listing.organization, user=provider, slug=listing.slug)
    assert again.status == ListingStatus.SUSPENDED


def test_a_tag_and_a_branch_may_share_a_name_and_the_branch_is_meant(draft: Listing, provider: User) -> None:
    create_tag(listing=draft, user=provider, name="dev")
    create_branch(listing=draft, user=provider, name="dev")
    moved = add(draft, provider, "LICENSE", "one", branch="dev")
    assert commit_at(draft, "dev") == moved
    assert draft.refs.get(kind=RefKind.TAG, name="dev").commit != moved
