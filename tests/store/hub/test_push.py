"""Files are sent and committed, by the Hub's own client."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, ModelCard
from huggingface_hub.errors import BadRequestError, HfHubHTTPError, RemoteEntryNotFoundError, RepositoryNotFoundError

from inference.manifest import MAX_FILES
from store.catalog.models import Listing, OrganizationBlob, StorageUse
from store.catalog.storage import storage_use
from store.hub import lfs
from store.uploads.models import Upload, UploadStatus
from tests.store.catalog.folders import write_folder
from tests.store.hub.conftest import Hub

ADD, COPY, DELETE = CommitOperationAdd, CommitOperationCopy, CommitOperationDelete


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_folder_arrives_whole_and_a_second_time_nothing_is_sent(hub: Hub, folder: Path, tmp_path: Path) -> None:
    api = hub.api(hub.provider)
    api.create_repo("acme/folder")
    first = api.upload_folder(
        repo_id="acme/folder", folder_path=folder, commit_message="All", commit_description="of it"
    )
    assert str(first.repo_url) == f"{hub.url}/acme/folder"
    got = Path(api.snapshot_download("acme/folder", cache_dir=tmp_path / "cache"))
    assert contents(got) == contents(folder)
    uploads = Upload.objects.count()
    again = api.upload_folder(repo_id="acme/folder", folder_path=folder)
    assert again.oid == first.oid
    assert Upload.objects.count() == uploads
    assert [(c.title, c.message) for c in api.list_repo_commits("acme/folder")] == [
        ("All", "of it"),
        ("initial commit", ""),
    ]


def test_the_card_of_main_is_what_a_draft_says_of_itself(hub: Hub) -> None:
    api = hub.api(hub.provider)
    hub.publish_base()
    api.create_repo("acme/carded")
    card = ModelCard(
        "---\nlicense: mit\ntags: [poems, 中文]\nlanguage: [en, zh]\nsummary: It rhymes.\nbase_model: acme/base\n"
        "base_model_relation: finetune\n---\n# Bard 书\n"
    )
    card.push_to_hub("acme/carded", token=hub.token(hub.provider))
    listing = Listing.objects.named("acme/carded").get()
    assert (listing.title, listing.licence, listing.summary) == ("Bard 书", "mit", "It rhymes.")
    assert (listing.tags, listing.languages) == (["poems", "中文"], ["en", "zh"])
    assert listing.base is not None
    assert (listing.base.name, listing.base_relation) == ("acme/base", "finetune")
    info = api.model_info("acme/carded")
    assert info.card_data is not None
    assert info.card_data.to_dict()["base_model"] == "acme/base"
    assert {"poems", "license:mit", "base_model:acme/base", "base_model:finetune:acme/base", "zh"} <= set(
        info.tags or []
    )
    assert ModelCard.load("acme/carded", token=hub.token(hub.provider)).text.strip() == "# Bard 书"


def test_a_card_that_cannot_be_read_is_refused_before_it_is_sent(hub: Hub) -> None:
    api = hub.api(hub.provider)
    api.create_repo("acme/badcard")
    with pytest.raises(ValueError, match="front matter that is not YAML"):
        api.upload_file(repo_id="acme/badcard", path_in_repo="README.md", path_or_fileobj=b"---\na: [\n---\n")
    with pytest.raises(ValueError, match="it has an alias"):
        ModelCard("---\na: &x [1]\nb: *x\n---\n", ignore_metadata_errors=True).validate()
    with pytest.warns(UserWarning, match="empty or missing yaml metadata"):
        api.upload_file(repo_id="acme/badcard", path_in_repo="README.md", path_or_fileobj=b"# Only words\n")


def test_a_commit_adds_copies_renames_and_deletes_at_once(hub: Hub, folder: Path) -> None:
    api = hub.api(hub.provider)
    api.create_repo("acme/several")
    api.upload_folder(repo_id="acme/several", folder_path=folder)
    image = b"\x89PNG\r\n\x1a\n" + b"\0" * 64
    api.create_commit(
        "acme/several",
        [
            ADD("assets/plot.png", image), ADD("LICENSE", b"Do as you like.\n"),
            COPY("model.safetensors", "model-00001-of-00001.safetensors"), DELETE("model.safetensors"),
            COPY("README.md", "NOTICE.md"), DELETE("tokenizer_config.json"),
        ],
        commit_message="Several",
    )  # fmt: skip
    assert api.list_repo_files("acme/several") == [
        "LICENSE", "NOTICE.md", "README.md", "assets/plot.png", "config.json", "model-00001-of-00001.safetensors",
        "tokenizer.json",
    ]  # fmt: skip
    moved = api.get_paths_info("acme/several", ["model-00001-of-00001.safetensors", "assets", "nothing"])
    assert [entry.path for entry in moved] == ["assets", "model-00001-of-00001.safetensors"]
    assert moved[1].lfs.sha256 == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()  # type: ignore[union-attr]
    api.delete_folder("assets", "acme/several")
    api.delete_files("acme/several", ["*.md"])
    assert api.list_repo_files("acme/several") == [
        "LICENSE", "config.json", "model-00001-of-00001.safetensors", "tokenizer.json",
    ]  # fmt: skip


def test_upload_folder_can_delete_what_is_not_there_any_more(hub: Hub, folder: Path) -> None:
    api = hub.api(hub.provider)
    api.create_repo("acme/mirror")
    api.upload_folder(repo_id="acme/mirror", folder_path=folder)
    (folder / "tokenizer_config.json").unlink()
    api.upload_folder(repo_id="acme/mirror", folder_path=folder, delete_patterns="*")
    assert "tokenizer_config.json" not in api.list_repo_files("acme/mirror")
    assert len(api.list_repo_files("acme/mirror")) == 4


def test_deleting_what_is_not_there_is_an_entry_not_found(hub: Hub) -> None:
    api = hub.api(hub.provider)
    api.create_repo("acme/undeleted")
    with pytest.raises(RemoteEntryNotFoundError, match="A file with this name doesn't exist"):
        api.delete_file("README.md", "acme/undeleted")
    with pytest.raises(RemoteEntryNotFoundError):
        api.delete_folder("assets", "acme/undeleted")


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        ("pytorch_model.bin", b"\x80\x04x", "is a pickle"),
        ("model.safetensors", b"\x80\x04\x95" + b"x" * 100, "is a pickle"),
        ("model.safetensors", b"PK\x03\x04" + b"x" * 100, r"zip|archive|pickle"),
        ("model.gguf", b"GGUF", "GGUF"),
        ("modeling_bard.py", b"import os", "Remove"),
        ("a/b/c/config.json", b"{}", "Rename"),
        ("конфиг.json", b"{}", "Rename"),
        ("x" * 300 + ".json", b"{}", "Rename"),
    ],
)
def test_what_no_release_holds_is_refused_before_a_byte_is_sent(hub: Hub, path: str, content: bytes, told: str) -> None:
    api = hub.api(hub.provider)
    api.create_repo("acme/refusing", exist_ok=True)
    before = Upload.objects.count(), OrganizationBlob.objects.count()
    with pytest.raises(BadRequestError, match=told) as raised:
        api.upload_file(repo_id="acme/refusing", path_in_repo=path, path_or_fileobj=content)
    assert raised.value.response.json()["code"] == "commit_refused"
    assert (Upload.objects.count(), OrganizationBlob.objects.count()) == before


def test_git_s_own_files_are_left_out(hub: Hub, folder: Path) -> None:
    (folder / ".gitattributes").write_text("*.safetensors filter=lfs\n")
    (folder / ".gitignore").write_text("*.log\n")
    api = hub.api(hub.provider)
    api.create_repo("acme/git")
    api.upload_folder(repo_id="acme/git", folder_path=folder)
    assert len(api.list_repo_files("acme/git")) == 5


def test_names_that_differ_in_capitals_only_and_too_many_files_are_refused(hub: Hub) -> None:
    api = hub.api(hub.provider)
    api.create_repo("acme/names")
    with pytest.raises(BadRequestError, match=r"(?i)capital|case"):
        api.create_commit("acme/names", [ADD("a.safetensors", b"1"), ADD("A.safetensors", b"2")], commit_message="x")
    lines = [{"key": "header", "value": {"summary": "many"}}]
    lines += [{"key": "lfsFile", "value": {"path": f"{n}.safetensors", "oid": "0" * 64}} for n in range(MAX_FILES + 1)]
    assert "has not arrived" in commit_lines(hub, "acme/names", lines).json()["error"]
    small = api.upload_file(repo_id="acme/names", path_in_repo="a.safetensors", path_or_fileobj=b"1")
    oid = hashlib.sha256(b"1").hexdigest()
    many = [{"key": "lfsFile", "value": {"path": f"{n}.safetensors", "oid": oid}} for n in range(MAX_FILES)]
    answer = commit_lines(hub, "acme/names", many)
    assert (answer.status_code, f"{MAX_FILES} at most" in answer.json()["error"]) == (400, True)
    assert api.model_info("acme/names").sha == small.oid


@pytest.mark.parametrize(
    "body",
    [
        b"nonsense\n", b"[]\n", b'{"key": "file"}\n', b'{"key": "file", "value": 3}\n', b'{"key": "fly", "value": {}}\n',
        b'{"key": "file", "value": {"path": "README.md", "content": "!", "encoding": "base64"}}\n',
        b'{"key": "file", "value": {"path": "READ\\u0000ME.md", "content": ""}}\n', b'{"key": "header", "value": {"summary": 7}}\n',
        b"[" * 100_000 + b"\n", b"x" * 15_000_000,
    ],
    ids=["text", "list", "no value", "number", "unknown", "not base64", "nul", "summary", "nested", "long line"],
)  # fmt: skip
def test_a_malformed_commit_changes_nothing(hub: Hub, body: bytes) -> None:
    api = hub.api(hub.provider)
    api.create_repo("acme/malformed", exist_ok=True)
    before = api.model_info("acme/malformed").sha
    url = f"{hub.url}/api/models/acme/malformed/commit/main"
    answer = httpx.post(url, content=body, headers=hub.bearer(hub.provider))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert api.model_info("acme/malformed").sha == before


def test_a_push_onto_an_older_commit_is_412(hub: Hub) -> None:
    api = hub.api(hub.provider)
    api.create_repo("acme/moved")
    seen = api.model_info("acme/moved").sha
    upload = {"repo_id": "acme/moved", "path_in_repo": "LICENSE", "parent_commit": seen}
    api.upload_file(path_or_fileobj=b"one", **upload)
    with pytest.raises(HfHubHTTPError, match="A commit has happened since") as raised:
        api.upload_file(path_or_fileobj=b"two", **upload)
    assert raised.value.response.status_code == 412


def test_of_two_pushes_at_once_onto_the_same_commit_one_wins(hub: Hub) -> None:
    api = hub.api(hub.provider)
    api.create_repo("acme/race")
    seen = api.model_info("acme/race").sha
    outcomes: list[int] = []
    barrier = threading.Barrier(4)

    def push(number: int) -> None:
        line = {"key": "file", "value": {"path": "LICENSE", "content": str(number)}}
        header = {"key": "header", "value": {"summary": f"by {number}", "parentCommit": seen}}
        barrier.wait()
        outcomes.append(commit_lines(hub, "acme/race", [header, line]).status_code)

    threads = [threading.Thread(target=push, args=(number,)) for number in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(outcomes) == [200, 412, 412, 412]
    assert len(api.list_repo_commits("acme/race")) == 2


def test_pushes_at_once_that_name_no_parent_all_arrive(hub: Hub) -> None:
    api = hub.api(hub.provider)
    api.create_repo("acme/together")
    names = [f"{number}.safetensors" for number in range(6)]
    threads = [
        threading.Thread(
            target=api.upload_file,
            kwargs={"repo_id": "acme/together", "path_in_repo": name, "path_or_fileobj": name.encode()},
        )
        for name in names
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert api.list_repo_files("acme/together") == names
    assert len(api.list_repo_commits("acme/together")) == 7


def test_a_large_object_goes_in_parts(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lfs, "MULTIPART_FROM_BYTES", 10_000)
    monkeypatch.setattr(lfs, "PART_BYTES", 4_000)
    api = hub.api(hub.provider)
    api.create_repo("acme/parts")
    content = bytes(range(256)) * 100
    api.upload_file(repo_id="acme/parts", path_in_repo="model.safetensors", path_or_fileobj=content)
    assert Path(api.hf_hub_download("acme/parts", "model.safetensors")).read_bytes() == content
    upload = Upload.objects.get(sha256=hashlib.sha256(content).hexdigest())
    assert (upload.status, upload.parts) == (UploadStatus.DONE, 7)


def test_content_that_is_not_what_was_promised_is_thrown_away(hub: Hub) -> None:
    api = hub.api(hub.provider)
    api.create_repo("acme/lie")
    said = {"oid": hashlib.sha256(b"truth").hexdigest(), "size": 5}
    entry = batch(hub, "acme/lie", [said]).json()["objects"][0]
    upload, verify = entry["actions"]["upload"]["href"], entry["actions"]["verify"]["href"]
    assert httpx.post(verify, json=said, headers=hub.bearer(hub.provider)).status_code == 404
    assert httpx.put(upload, content=b"liars").status_code in (400, 409, 422, 460)
    assert httpx.post(verify, json=said, headers=hub.bearer(hub.provider)).status_code == 404
    lines = [{"key": "lfsFile", "value": {"path": "model.safetensors", "oid": said["oid"]}}]
    assert "has not arrived" in commit_lines(hub, "acme/lie", lines).json()["error"]


def test_what_does_not_fit_the_quota_is_refused_object_by_object(hub: Hub) -> None:
    hub.api(hub.provider).create_repo("provider/quota")
    own = hub.provider.personal_organization
    use = storage_use(own)
    StorageUse.objects.filter(pk=use.pk).update(limit_bytes=use.used_bytes + use.reserved_bytes + 1_000)
    objects = [{"oid": "1" * 64, "size": 600}, {"oid": "2" * 64, "size": 600}]
    answers = batch(hub, "provider/quota", objects).json()["objects"]
    assert ["actions" in answers[0], answers[1]["error"]["code"]] == [True, 413]
    with pytest.raises(ValueError, match="LFS batch API returned errors"):
        hub.api(hub.provider).upload_file(
            repo_id="provider/quota", path_in_repo="model.safetensors", path_or_fileobj=b"x" * 700
        )


def test_strangers_write_nothing(hub: Hub, folder: Path) -> None:
    hub.publish(folder, "guarded")
    upload = {"repo_id": "acme/guarded", "path_in_repo": "LICENSE", "path_or_fileobj": b"mine"}
    for user in (hub.stranger, hub.viewer):
        with pytest.raises(HfHubHTTPError) as raised:
            hub.api(user).upload_file(**upload)  # type: ignore[arg-type]
        assert raised.value.response.status_code == 403
    with pytest.raises(RepositoryNotFoundError):
        hub.api(None).upload_file(**upload)  # type: ignore[arg-type]
    assert batch(hub, "acme/guarded", [{"oid": "1" * 64, "size": 1}], user=hub.stranger).status_code == 403


def test_an_others_open_content_is_not_sent_again_and_a_closed_one_must_be(hub: Hub, tmp_path: Path) -> None:
    release = hub.publish(write_folder(tmp_path / "shared", seed=21), "shared")
    blob = release.files.select_related("blob").get(path="model.safetensors").blob
    own = hub.provider.personal_organization
    StorageUse.objects.filter(organization=own).update(limit_bytes=10**9)
    hub.api(hub.provider).create_repo("provider/reuse", exist_ok=True)
    asked = [{"oid": blob.sha256, "size": blob.size}]
    assert "actions" not in batch(hub, "provider/reuse", asked).json()["objects"][0]
    Listing.objects.filter(pk=release.listing_id).update(weights="closed")
    assert "actions" in batch(hub, "provider/reuse", asked).json()["objects"][0]


def test_pull_requests_are_refused_with_a_sentence(hub: Hub) -> None:
    api = hub.api(hub.provider)
    api.create_repo("acme/pr")
    with pytest.raises(BadRequestError, match="no pull requests here"):
        api.upload_file(repo_id="acme/pr", path_in_repo="LICENSE", path_or_fileobj=b"x", create_pr=True)


def commit_lines(hub: Hub, repo: str, lines: list[dict[str, Any]]) -> httpx.Response:
    body = b"".join(httpx.Request("POST", "http://x", json=line).content + b"\n" for line in lines)
    headers = hub.bearer(hub.provider) | {"Content-Type": "application/x-ndjson"}
    return httpx.post(f"{hub.url}/api/models/{repo}/commit/main", content=body, headers=headers, timeout=90)


def batch(hub: Hub, repo: str, objects: list[dict[str, Any]], *, user: Any = None) -> httpx.Response:
    body = {"operation": "upload", "transfers": ["basic"], "objects": objects}
    url = f"{hub.url}/{repo}.git/info/lfs/objects/batch"
    return httpx.post(url, json=body, headers=hub.bearer(user or hub.provider))
