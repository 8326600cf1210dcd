"""The client's own command line, also when it is killed in the middle, or was not told to leave Xet alone."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from store.catalog.models import Listing
from store.uploads.models import Upload, UploadStatus
from tests.store.catalog.folders import write_folder
from tests.store.hub.conftest import Hub
from tests.waiting import await_that


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def test_a_model_is_made_uploaded_tagged_and_downloaded(hub: Hub, home: Path, folder: Path, tmp_path: Path) -> None:
    def hf(*command: str) -> str:
        done = hub.run(hub.provider, home, *command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "user: provider" in hf("auth", "whoami")
    assert f"{hub.url}/acme/typed" in hf("repos", "create", "acme/typed", "--private")
    assert f"{hub.url}/acme/typed/commit/" in hf("upload", "acme/typed", str(folder), "--commit-message", "All of it")
    assert "acme/typed" in hf("repos", "list", "--namespace", "acme", "--format", "json")
    hf("repos", "tag", "create", "acme/typed", "v1")
    hf("download", "acme/typed", "--revision", "v1", "--local-dir", str(tmp_path / "got"))
    assert (tmp_path / "got" / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert Listing.objects.named("acme/typed").get().is_private


def test_what_an_interrupted_upload_has_sent_is_not_sent_again(hub: Hub, home: Path, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "large", seed=71)
    for number in range(3):
        (folder / f"model-{number}.safetensors").write_bytes(bytes([number]) * 3_000_000)
    hub.api(hub.provider).create_repo("acme/interrupted")
    # Whoever has sent a file says so and sends no more: the client is killed between two files. Its threads speak at once, so each
    # says a whole line in one write.
    script = f"""
import huggingface_hub.lfs as lfs, os, time
from huggingface_hub import HfApi
send = lfs._upload_single_part
def slowly(**arguments):
    send(**arguments)
    os.write(1, b"sent\\n")
    time.sleep(600)
lfs._upload_single_part = slowly
HfApi().upload_folder(repo_id="acme/interrupted", folder_path={str(folder)!r})
"""
    client = subprocess.Popen(
        [sys.executable, "-c", script], env=hub.environment(hub.provider, home), stdout=subprocess.PIPE, text=True
    )
    assert client.stdout is not None
    sent = [client.stdout.readline() for _ in range(2)]
    assert sent == ["sent\n", "sent\n"]
    client.send_signal(signal.SIGKILL)
    client.communicate()
    done = {upload.pk: upload.status for upload in Upload.objects.filter(organization=hub.acme)}
    arrived = sum(status == UploadStatus.DONE for status in done.values())
    assert arrived >= 2
    again = hub.run(hub.provider, home, "upload", "acme/interrupted", str(folder))
    assert again.returncode == 0, again.stderr
    # The second run made no upload that the first had begun: it ended them.
    assert {upload.pk for upload in Upload.objects.filter(organization=hub.acme)} == set(done)
    assert len(hub.api(hub.provider).list_repo_files("acme/interrupted")) == 8


def test_a_killed_upload_of_one_large_file_is_taken_up(hub: Hub, home: Path, tmp_path: Path) -> None:
    large = tmp_path / "model.safetensors"
    large.write_bytes(bytes(range(256)) * 250_000)
    hub.api(hub.provider).create_repo("acme/killed")
    hf = str(Path(sys.executable).with_name("hf"))
    command = [hf, "upload", "acme/killed", str(large)]
    client = subprocess.Popen(command, env=hub.environment(hub.provider, home), stderr=subprocess.DEVNULL)
    size = large.stat().st_size
    begun = Upload.objects.filter(organization=hub.acme, size=size)
    await_that(lambda: begun.exists() or client.poll() is not None, "the upload has begun")
    client.kill()
    client.wait()
    again = hub.run(hub.provider, home, *command[1:])
    assert again.returncode == 0, again.stderr
    assert [upload.status for upload in begun.all()] == [UploadStatus.DONE]
    assert hub.api(hub.provider).list_repo_files("acme/killed") == ["model.safetensors"]


def test_without_the_variable_the_client_shows_what_to_set(hub: Hub, home: Path, folder: Path) -> None:
    hub.api(hub.provider).create_repo("acme/xet")
    done = hub.run(hub.provider, home, "upload", "acme/xet", str(folder), HF_HUB_DISABLE_XET="0")
    assert done.returncode != 0
    assert "set-HF_HUB_DISABLE_XET=1-and-run-the-same-again" in done.stderr
    assert hub.api(hub.provider).list_repo_files("acme/xet") == []


def test_a_refusal_is_a_sentence_in_the_terminal(hub: Hub, home: Path, folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04pickle")
    hub.api(hub.provider).create_repo("acme/refused")
    done = hub.run(hub.provider, home, "upload", "acme/refused", str(folder))
    assert done.returncode == 1
    assert "pytorch_model.bin is a pickle" in done.stderr
    assert "Traceback" not in done.stderr
