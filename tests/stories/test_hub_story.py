"""From a folder to a called model with the tools that providers have: the Hub's own command line, interrupted and resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from store.accounts.actions import become_provider, ensure_personal_organization, sign_up
from store.accounts.models import TokenScope, User
from store.accounts.tokens import issue_token
from store.billing.actions import top_up_test
from store.catalog.actions.prices import set_price
from store.catalog.actions.submissions import publish_submission, submit_commit
from store.catalog.models import Listing, ListingStatus, OrganizationBlob, Submission, SubmissionStatus, Weights
from store.keys.actions import issue_key
from store.uploads.models import Upload
from tests.stack import CREDIT_NANO, PRICE, Stack
from tests.tiny_model import write_model
from tests.waiting import await_that

pytestmark = pytest.mark.story

CARD = """---
license: apache-2.0
language: [en]
pipeline_tag: text-generation
summary: Sonnets by chance.
---
# Sonnet

It rhymes now and then.
"""
READY_S = 180  # checking and measuring, on a machine with much else to do


class Terminal:
    """A provider's terminal: ``hf`` with HF_ENDPOINT and HF_TOKEN set."""

    def __init__(self, stack: Stack, secret: str, home: Path) -> None:
        self.environment = {
            **os.environ,
            "HF_ENDPOINT": stack.url,
            "HF_TOKEN": secret,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HOME": str(home),
        }

    def start(self, *command: str) -> subprocess.Popen[str]:
        hf = Path(sys.executable).with_name("hf")
        return subprocess.Popen(
            [str(hf), *command], env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def run(self, *command: str) -> str:
        process = self.start(*command)
        output, _nothing = process.communicate(timeout=120)
        assert process.returncode == 0, output
        return output


@pytest.fixture(scope="module")
def provider(stack: Stack) -> User:
    """``sonneteer``, in a store with a worker of each kind."""
    stack.start_web()
    stack.start_cpu()
    stack.start_gpu()
    user = sign_up(email="sonneteer@example.com", password="correct horse battery", name="Sonneteer", is_verified=True)
    become_provider(organization=ensure_personal_organization(user), user=user)
    return user


@pytest.fixture(scope="module")
def terminal(stack: Stack, provider: User, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    issued = issue_token(user=provider, name="laptop", scopes=[TokenScope.READ, TokenScope.WRITE])
    return Terminal(stack, issued.secret, tmp_path_factory.mktemp("home"))


def test_a_model_goes_from_a_folder_to_a_called_listing_by_the_command_line(
    stack: Stack, provider: User, terminal: Terminal, tmp_path: Path
) -> None:
    folder = write_model(tmp_path / "sonnet", width=256, layers=4)
    (folder / "README.md").write_text(CARD)
    assert "sonneteer" in terminal.run("auth", "whoami")
    terminal.run("repos", "create", "sonneteer/sonnet")
    _push_interrupted(terminal, folder)

    listing = Listing.objects.named("sonneteer/sonnet").get()
    assert (listing.title, listing.summary, listing.licence) == ("Sonnet", "Sonnets by chance.", "apache-2.0")
    submission = submit_commit(listing=listing, user=provider)
    await_that(lambda: _settled(submission), "the model is checked and measured", timeout_s=READY_S)
    assert (submission.status, submission.problems) == (SubmissionStatus.READY, [])
    set_price(listing=listing, user=provider, price=PRICE)
    publish_submission(submission=submission, user=provider)
    listing.refresh_from_db()
    assert listing.status == ListingStatus.PUBLISHED
    assert submission.measurement is not None
    assert submission.measurement.perplexity is not None

    assert _called(stack, listing)
    _pulled_by_anybody_once_it_is_open(stack, listing, folder, tmp_path)


def _push_interrupted(terminal: Terminal, folder: Path) -> None:
    """The client is killed in the middle; the same command again sends only what is missing."""
    upload = ("upload", "sonneteer/sonnet", str(folder), ".", "--commit-message", "First sonnets")
    first = terminal.start("upload", "sonneteer/sonnet", str(folder / "tokenizer.json"), "tokenizer.json")
    assert first.wait(timeout=120) == 0
    killed = terminal.start(*upload)
    await_that(lambda: Upload.objects.exists(), "the weights are on their way", timeout_s=60)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    terminal.run(*upload)
    names = [upload.sha256 for upload in Upload.objects.all()]
    assert len(names) == len(set(names))  # no content was begun twice
    assert OrganizationBlob.objects.filter(organization__slug="sonneteer").count() == len(list(folder.iterdir()))


def _settled(submission: Submission) -> bool:
    submission.refresh_from_db()
    return submission.status not in (SubmissionStatus.CHECKING, SubmissionStatus.MEASURING)


def _called(stack: Stack, listing: Listing) -> str:
    """A consumer's call with OpenAI's client."""
    consumer = sign_up(email="reader@example.com", password="correct horse battery", name="Reader", is_verified=True)
    buyer = ensure_personal_organization(consumer)
    top_up_test(organization=buyer, user=consumer, amount_nano=CREDIT_NANO)
    key = issue_key(organization=buyer, user=consumer, name="reading", listings=[listing])
    with stack.client(key.secret) as client:
        answer = client.completions.create(model="sonneteer/sonnet", prompt="Shall I compare thee", max_tokens=8)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 8
    return answer.choices[0].text


def _pulled_by_anybody_once_it_is_open(stack: Stack, listing: Listing, folder: Path, tmp_path: Path) -> None:
    Listing.objects.filter(pk=listing.pk).update(weights=Weights.OPEN)
    got = HfApi(endpoint=stack.url, token=False).snapshot_download("sonneteer/sonnet", cache_dir=tmp_path / "cache")
    assert {path.name: path.read_bytes() for path in Path(got).iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }
