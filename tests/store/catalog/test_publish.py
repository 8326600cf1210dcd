"""Publishing: what is stored, what stays as it is, what is refused."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.db import IntegrityError, connection, transaction

from inference.manifest import hash_file
from store.accounts.models import Membership, Organization, Role, User
from store.catalog import blobs
from store.catalog.actions import NotAProvider, PriceSpec, PublishProgress, ReleaseRejected, publish_folder, set_price
from store.catalog.models import Blob, Listing, ListingStatus, Price, Release
from store.errors import Conflict, InvalidRequest, NotFound
from tests.store.catalog.conftest import PRICE
from tests.store.catalog.folders import write_folder


def publish(
    organization: Organization, folder: Path, *, user: User | None = None, slug: str = "tiny", price: PriceSpec = PRICE
) -> Release:
    return publish_folder(organization=organization, user=user, folder=folder, slug=slug, price=price)


def test_a_folder_becomes_the_current_release_of_a_published_listing(acme: Organization, folder: Path) -> None:
    release = publish(acme, folder)
    listing = Listing.objects.get()
    assert (listing.name, listing.status, listing.current_release) == ("acme/tiny", ListingStatus.PUBLISHED, release)
    assert (listing.title, listing.summary, listing.licence, listing.tags) == (
        "Tiny",
        "Noise, on purpose.",
        "apache-2.0",
        ["test", "tiny"],
    )
    assert listing.published_at is not None
    assert release.listing.status == ListingStatus.PUBLISHED
    assert (release.number, release.architecture, release.context_length, release.vocab_size) == (
        1,
        "GPT2LMHeadModel",
        64,
        300,
    )
    assert release.card.startswith("# Tiny")
    assert release.size == sum(path.stat().st_size for path in folder.iterdir())


def test_every_file_is_in_the_storage_under_its_hash(acme: Organization, folder: Path) -> None:
    release = publish(acme, folder)
    files = list(release.files.select_related("blob"))
    assert {file.path for file in files} == {path.name for path in folder.iterdir()}
    for file in files:
        with default_storage.open(file.blob.storage_name) as stored:
            assert stored.read() == (folder / file.path).read_bytes()
        assert file.blob_id == hash_file(folder / file.path).sha256


def test_publishing_the_same_folder_again_changes_nothing(acme: Organization, folder: Path) -> None:
    first = publish(acme, folder)
    published_at = Listing.objects.get().published_at
    assert publish(acme, folder) == first
    assert (Release.objects.count(), Price.objects.count()) == (1, 1)
    assert Listing.objects.get().published_at == published_at


def test_other_weights_make_a_second_release_that_shares_the_other_files(
    acme: Organization, folder: Path, tmp_path: Path
) -> None:
    first = publish(acme, folder)
    second = publish(acme, write_folder(tmp_path / "other", seed=1))
    assert (second.number, second.digest != first.digest) == (2, True)
    assert Listing.objects.get().current_release == second
    assert Blob.objects.count() == len(list(folder.iterdir())) + 1


def test_publishing_an_older_folder_makes_its_release_current_again(
    acme: Organization, folder: Path, tmp_path: Path
) -> None:
    first = publish(acme, folder)
    publish(acme, write_folder(tmp_path / "other", seed=1))
    assert publish(acme, folder) == first
    assert Listing.objects.get().current_release == first
    assert Release.objects.count() == 2


def test_a_new_price_is_a_new_row_and_the_same_price_is_none(acme: Organization, folder: Path) -> None:
    listing = publish(acme, folder).listing
    set_price(listing=listing, user=None, price=PRICE)
    assert Price.objects.count() == 1
    dearer = set_price(
        listing=listing, user=None, price=PriceSpec(input_nano=2, output_nano=3, cached_input_nano=1, request_nano=4)
    )
    assert listing.prices.current().first() == dearer
    assert (dearer.input_nano, dearer.cached_input_nano, dearer.output_nano, dearer.request_nano) == (2, 1, 3, 4)


@pytest.mark.parametrize(
    ("price", "param"),
    [
        (PriceSpec(input_nano=-1, output_nano=0), "input"),
        (PriceSpec(input_nano=0, output_nano=2**62), "output"),
        (PriceSpec(input_nano=1, output_nano=0, cached_input_nano=2), "cached_input"),
        (PriceSpec(input_nano=0, output_nano=0, request_nano=-5), "request"),
    ],
)
def test_a_senseless_price_is_refused_before_anything_is_stored(
    acme: Organization, folder: Path, price: PriceSpec, param: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        publish(acme, folder, price=price)
    assert refused.value.param == param
    assert not Listing.objects.exists()


def test_a_pickle_is_refused_with_the_lines_that_convert_it(acme: Organization, folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(ReleaseRejected) as refused:
        publish(acme, folder)
    assert [problem.code for problem in refused.value.problems] == ["pickle"]
    assert "weights_only=True" in refused.value.message
    assert not Release.objects.exists()


@pytest.mark.parametrize("slug", ["", "Tiny", "a--b", "-a", "a/b", "a b", "\u00fc", "a" * 97])
def test_a_name_that_clients_could_not_send_is_refused(acme: Organization, folder: Path, slug: str) -> None:
    with pytest.raises(InvalidRequest):
        publish(acme, folder, slug=slug)


def test_a_card_without_a_licence_is_refused_unless_it_is_given(acme: Organization, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "bare", card="# Bare\n")
    with pytest.raises(InvalidRequest) as refused:
        publish(acme, folder)
    assert refused.value.param == "licence"
    assert (
        publish_folder(
            organization=acme, user=None, folder=folder, slug="tiny", price=PRICE, licence="mit"
        ).listing.licence
        == "mit"
    )


def test_only_a_provider_publishes(db: None, folder: Path) -> None:
    with pytest.raises(NotAProvider):
        publish(Organization.objects.create(slug="plain", name="Plain"), folder)


@pytest.mark.parametrize(
    ("role", "may"),
    [(Role.OWNER, True), (Role.DEVELOPER, True), (Role.VIEWER, False), (Role.BILLING, False), (None, False)],
)
def test_only_members_whose_role_allows_it_publish(
    acme: Organization, folder: Path, role: Role | None, may: bool
) -> None:
    user = User.objects.create_user("someone@example.com")
    if role:
        Membership.objects.create(organization=acme, user=user, role=role)
    if may:
        assert publish(acme, folder, user=user).created_by == user
    else:
        with pytest.raises(NotFound):
            publish(acme, folder, user=user)


def test_a_suspended_listing_is_not_published_over(acme: Organization, folder: Path) -> None:
    publish(acme, folder)
    Listing.objects.update(status=ListingStatus.SUSPENDED)
    with pytest.raises(Conflict, match="suspended"):
        publish(acme, folder)
    assert Listing.objects.get().status == ListingStatus.SUSPENDED


def test_a_release_cannot_be_changed_or_deleted(acme: Organization, folder: Path) -> None:
    release = publish(acme, folder)
    for change in (lambda: Release.objects.update(number=7), lambda: release.files.all()._raw_delete("default")):
        with pytest.raises(IntegrityError, match="a release never changes"), transaction.atomic():
            change()


def test_a_file_that_changes_while_it_is_read_is_not_published(acme: Organization, folder: Path) -> None:
    def tamper(progress: PublishProgress) -> None:
        if progress.step == "storing":
            (folder / "tokenizer_config.json").write_text('{"eos_token": "<|end|>", "x": "after"}')

    (folder / "tokenizer_config.json").write_text('{"eos_token": "<|end|>", "x": "before"}')
    with pytest.raises(blobs.FileChanged):
        publish_folder(organization=acme, user=None, folder=folder, slug="tiny", price=PRICE, on_progress=tamper)
    assert not Release.objects.exists()


def test_progress_counts_every_byte(acme: Organization, folder: Path) -> None:
    seen: list[PublishProgress] = []
    release = publish_folder(
        organization=acme, user=None, folder=folder, slug="tiny", price=PRICE, on_progress=seen.append
    )
    assert (seen[0].step, seen[-1].done, seen[-1].total) == ("checking", release.size, release.size)


def test_a_broken_leftover_in_the_storage_is_written_anew(acme: Organization, folder: Path) -> None:
    name = Blob(sha256=hash_file(folder / "config.json").sha256).storage_name
    broken = Path(default_storage.path(name))
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.write_bytes(b"{")
    publish(acme, folder)
    assert broken.read_bytes() == (folder / "config.json").read_bytes()


@pytest.mark.django_db(transaction=True)
def test_eight_that_publish_at_once_make_one_listing_with_one_release_for_each_folder(
    tmp_path: Path, acme: Organization
) -> None:
    folders = [write_folder(tmp_path / str(seed), seed=seed % 2) for seed in range(8)]
    failures: list[BaseException] = []

    def run(folder: Path) -> None:
        try:
            publish(acme, folder)
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(Release.objects.values_list("number", flat=True)) == [1, 2]
    assert (Listing.objects.count(), Price.objects.count()) == (1, 1)
