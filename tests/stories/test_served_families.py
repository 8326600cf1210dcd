"""Published and called by the official client: a family other than GPT-2, an adapter on its base, an encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openai
import pytest
import torch
from transformers import PreTrainedModel

from inference.prompt import PromptEncoder
from inference.tasks import Encoder
from store.catalog.actions import publish_folder
from store.catalog.models import Release
from store.keys.actions import issue_key
from store.ledger.audit import audit
from store.ledger.pricing import Rates, charge
from store.runs.models import Endpoint, Run, RunStatus
from tests.inference.runs import generated
from tests.stack import PRICE, Shop, Stack
from tests.tiny_families import tiny_model, write_adapter, write_family
from tests.waiting import await_that

pytestmark = pytest.mark.story

PROMPT = "To be, or not to be"
TEXTS = ["To be, or not to be", "that is the question"]


class Families:
    """A Gemma, an adapter of it and a BERT, published; a key that opens them; and what transformers and PEFT make of them."""

    def __init__(self, shop: Shop, root: Path) -> None:
        self._seller = shop.listing.organization
        self.gemma_folder = write_family(root / "gemma", "gemma2")
        self.bert_folder = write_family(root / "bert", "bert")
        self.gemma = self._publish(self.gemma_folder)
        self.merged = write_adapter(
            root / "adapter", self.gemma_folder, target_modules=["q_proj", "v_proj"],
            base_name=self.gemma.listing.name, base_digest=self.gemma.digest,
        )  # fmt: skip
        self.adapter = self._publish(root / "adapter")
        self.bert = self._publish(self.bert_folder)
        listings = [release.listing for release in (self.gemma, self.adapter, self.bert)]
        buyer = shop.organization
        self.secret = issue_key(organization=buyer, user=buyer.personal_of, name="all", listings=listings).secret

    def _publish(self, folder: Path) -> Release:
        return publish_folder(
            organization=self._seller, user=self._seller.personal_of, folder=folder, slug=folder.name, price=PRICE,
            title=folder.name, licence="apache-2.0",
        )  # fmt: skip

    def said_by(self, model: PreTrainedModel, count: int) -> str:
        """The text of the greedy answer to PROMPT."""
        encoder = PromptEncoder.from_folder(self.gemma_folder)
        return encoder.decode(generated(model, encoder.encode_text(PROMPT), count))


@pytest.fixture(scope="module")
def families(stack: Stack, shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Families:
    """In a store with one web process and one GPU worker."""
    made = Families(shop, tmp_path_factory.mktemp("families"))
    stack.start_web(WEB_PROCESSES="1")
    stack.start_gpu()
    return made


def test_a_gemma_and_its_adapter_say_what_transformers_and_peft_say(stack: Stack, families: Families) -> None:
    base = tiny_model("gemma2")
    base.set_attn_implementation("eager")
    families.merged.set_attn_implementation("eager")
    answers = {}
    with stack.client(families.secret) as client:
        for name in (families.gemma.listing.name, families.adapter.listing.name):
            answer = client.completions.create(model=name, prompt=PROMPT, max_tokens=12, temperature=0)
            answers[name] = answer.choices[0].text
    assert answers[families.gemma.listing.name] == families.said_by(base, 12)
    assert answers[families.adapter.listing.name] == families.said_by(families.merged, 12)
    assert len(set(answers.values())) == 2
    assert families.adapter.base == families.gemma


def test_embeddings_are_those_of_the_model_and_their_input_is_charged(stack: Stack, families: Families) -> None:
    with stack.client(families.secret) as client:
        answer = client.embeddings.create(model=families.bert.listing.name, input=TEXTS)
    encoder = PromptEncoder.from_folder(families.bert_folder)
    ids = [encoder.encode_text(text) for text in TEXTS]
    expected = Encoder(families.bert_folder).embed(ids)
    vectors = np.array([item.embedding for item in answer.data])
    assert torch.allclose(torch.tensor(vectors, dtype=torch.float32), expected, atol=1e-5)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    count = sum(map(len, ids))
    assert answer.usage.prompt_tokens == count
    run = await_that(lambda: Run.objects.filter(endpoint=Endpoint.EMBEDDING).exclude(status="open").first(), "settled")
    rates = Rates(input_nano=PRICE.input_nano, cached_input_nano=PRICE.cached_input_nano, output_nano=PRICE.output_nano)
    assert run.status == RunStatus.SUCCEEDED
    assert run.charge_nano == charge(rates, prompt_tokens=count, output_tokens=0)
    assert audit() == []


def test_each_model_is_asked_for_what_it_does(stack: Stack, families: Families) -> None:
    with stack.client(families.secret) as client:
        with pytest.raises(openai.BadRequestError, match="makes no embeddings"):
            client.embeddings.create(model=families.gemma.listing.name, input="a")
        with pytest.raises(openai.BadRequestError, match="writes no text"):
            client.chat.completions.create(
                model=families.bert.listing.name, messages=[{"role": "user", "content": "a"}]
            )
