"""Metadata, trees, history and lists of models, by the Hub's own client."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from huggingface_hub import CommitOperationAdd, RepoFile, RepoFolder
from huggingface_hub.errors import BadRequestError

from store.catalog.models import Listing, Release, Weights
from tests.store.catalog.folders import CARD, write_folder
from tests.store.hub.conftest import Hub

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


@pytest.fixture(scope="module")
def shelf(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> list[Release]:
    """Four public models, and a private one."""
    made = []
    for seed, slug in enumerate(("hamlet", "macbeth", "othello", "lear"), start=51):
        card = CARD.replace("[test, tiny]", f"[tragedy, {slug}]")
        made.append(hub.publish(write_folder(tmp_path_factory.mktemp(slug), seed=seed, card=card), slug))
    hub.publish(write_folder(tmp_path_factory.mktemp("secret"), seed=61), "secret", is_private=True)
    Listing.objects.filter(slug="macbeth").update(task="fill-mask", languages=["de"], licence="mit")
    Listing.objects.filter(slug="othello").update(
        weights=Weights.GATED, base=Listing.objects.get(slug="hamlet"), base_relation="finetune"
    )
    return made


def test_model_info_has_what_the_card_and_the_files_say(hub: Hub, shelf: list[Release]) -> None:
    info = hub.api(None).model_info("acme/hamlet")
    assert (info.id, info.author, info.private, info.gated, info.disabled) == (
        "acme/hamlet",
        "acme",
        False,
        False,
        False,
    )
    assert (info.pipeline_tag, info.library_name) == ("text-generation", "transformers")
    assert {"tragedy", "license:apache-2.0", "transformers", "text-generation"} <= set(info.tags or [])
    assert info.card_data is not None
    assert (info.card_data.license, info.card_data.tags) == ("apache-2.0", ["tragedy", "hamlet"])
    assert info.config == {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"}
    assert info.safetensors is not None
    assert (list(info.safetensors.parameters), info.safetensors.total) == (["F32"], shelf[0].parameters)
    assert info.transformers_info is not None
    assert info.transformers_info.auto_model == "AutoModelForCausalLM"
    assert [sibling.size for sibling in info.siblings or []] == [None] * 5  # only with files_metadata
    assert info.created_at is not None
    assert info.last_modified is not None
    assert info.created_at <= info.last_modified
    assert hub.api(None).model_info("acme/othello").base_models == ["acme/hamlet"]


def test_expand_gives_what_is_asked_for_and_no_more(hub: Hub, shelf: list[Release]) -> None:
    info = hub.api(None).model_info("acme/hamlet", expand=["downloads", "safetensors", "gated"])
    whole = hub.api(None).model_info("acme/hamlet")
    assert (info.downloads, info.gated, info.safetensors is not None) == (whole.downloads, False, True)
    assert (info.tags, info.sha, info.siblings) == (None, None, None)
    with pytest.raises(BadRequestError, match="knows no 'nothing'"):
        hub.api(None).model_info("acme/hamlet", expand=["nothing"])  # type: ignore[list-item]


def test_a_tree_has_folders_and_the_commit_that_changed_each_file(hub: Hub) -> None:
    api = hub.api(hub.provider)
    api.create_repo("acme/tree")
    first = api.create_commit(
        "acme/tree",
        [CommitOperationAdd("assets/a.png", PNG), CommitOperationAdd("assets/b.png", PNG + b"b"), CommitOperationAdd("LICENSE", b"1")],
        commit_message="first",
    )  # fmt: skip
    second = api.upload_file(repo_id="acme/tree", path_in_repo="assets/b.png", path_or_fileobj=PNG + b"c")
    flat = list(api.list_repo_tree("acme/tree"))
    assert [(type(entry), entry.path) for entry in flat] == [(RepoFile, "LICENSE"), (RepoFolder, "assets")]
    deep = {entry.path: entry for entry in api.list_repo_tree("acme/tree", recursive=True, expand=True)}
    assert sorted(deep) == ["LICENSE", "assets", "assets/a.png", "assets/b.png"]
    changed = {path: entry.last_commit.oid for path, entry in deep.items() if entry.last_commit}
    assert changed == {
        "LICENSE": first.oid, "assets": second.oid, "assets/a.png": first.oid, "assets/b.png": second.oid,
    }  # fmt: skip
    assert [entry.path for entry in api.list_repo_tree("acme/tree", "assets")] == ["assets/a.png", "assets/b.png"]
    assert api.get_paths_info("acme/tree", "LICENSE", expand=True)[0].last_commit.title == "first"  # type: ignore[union-attr]


def test_history_goes_on_over_pages(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.hub.views.files.HISTORY_PAGE", 2)
    api = hub.api(hub.provider)
    api.create_repo("acme/long")
    for number in range(4):
        api.upload_file(
            repo_id="acme/long",
            path_in_repo="LICENSE",
            path_or_fileobj=str(number).encode(),
            commit_message=f"{number}",
        )
    assert [commit.title for commit in api.list_repo_commits("acme/long")] == ["3", "2", "1", "0", "initial commit"]


def test_patterns_choose_files(hub: Hub, shelf: list[Release], tmp_path: Path) -> None:
    got = hub.api(None).snapshot_download("acme/hamlet", allow_patterns="*.json", cache_dir=tmp_path)
    assert {path.name for path in Path(got).iterdir()} == {"config.json", "tokenizer.json", "tokenizer_config.json"}


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"author": "acme"}, {"hamlet", "macbeth", "othello", "lear"}),
        ({"author": "nobody"}, set()),
        ({"search": "macb"}, {"macbeth"}),
        ({"search": "acme/lear"}, {"lear"}),
        ({"pipeline_tag": "fill-mask"}, {"macbeth"}),
        ({"filter": "tragedy"}, {"hamlet", "macbeth", "othello", "lear"}),
        ({"filter": ["tragedy", "lear"]}, {"lear"}),
        ({"filter": "license:mit"}, {"macbeth"}),
        ({"filter": "de"}, {"macbeth"}),
        ({"filter": "transformers", "author": "acme"}, {"hamlet", "macbeth", "othello", "lear"}),
        ({"filter": "base_model:acme/hamlet"}, {"othello"}),
        ({"filter": "base_model:finetune:acme/hamlet"}, {"othello"}),
        ({"filter": "base_model:adapter:acme/hamlet"}, set()),
        ({"gated": True}, {"othello"}),
        ({"gated": False, "author": "acme"}, {"hamlet", "macbeth", "lear"}),
    ],
)
def test_models_are_found_by_what_they_are(
    hub: Hub, shelf: list[Release], filters: dict[str, object], found: set[str]
) -> None:
    listed = hub.api(None).list_models(**filters)  # type: ignore[arg-type]
    assert {model.id.removeprefix("acme/") for model in listed} == found


def test_models_are_sorted_limited_and_paged(hub: Hub, shelf: list[Release], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.hub.views.listings.PAGE", 2)
    api = hub.api(None)
    newest = [model.id for model in api.list_models(author="acme", sort="created_at")]
    assert newest == ["acme/lear", "acme/othello", "acme/macbeth", "acme/hamlet"]
    assert [model.id for model in api.list_models(author="acme", sort="created_at", limit=3)] == newest[:3]
    for sort in ("downloads", "likes", "last_modified", "trending_score"):
        assert len(list(api.list_models(author="acme", sort=sort))) == 4  # type: ignore[arg-type]
    with pytest.raises(BadRequestError, match="`sort` is one of"):
        list(api.list_models(sort="nothing"))  # type: ignore[arg-type]


def test_members_find_their_private_models_too(hub: Hub, shelf: list[Release]) -> None:
    assert "acme/secret" in {model.id for model in hub.api(hub.viewer).list_models(author="acme")}
    assert "acme/secret" not in {model.id for model in hub.api(hub.stranger).list_models(author="acme")}


def test_a_filter_that_cannot_be_answered_is_refused(hub: Hub) -> None:
    with pytest.raises(BadRequestError, match="cannot filter by `num_parameters`"):
        list(hub.api(None).list_models(num_parameters="min:1B"))


@pytest.mark.parametrize(
    "address",
    ["models?author=%00", "models?filter=a%00b", "models/acme/lear/tree/%00", "models/acme/lear/revision/a%00", "models?p=-1", "models?limit=x"],
)  # fmt: skip
def test_an_address_that_makes_no_sense_is_refused(hub: Hub, shelf: list[Release], address: str) -> None:
    answer = httpx.get(f"{hub.url}/api/{address}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
