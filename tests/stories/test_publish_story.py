"""A provider's way in a real browser: from a folder on their machine to a model that somebody else finds and calls."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser, Page, Request, expect
from transformers import GPT2LMHeadModel

from tests.stack import Stack
from tests.stories.browsing import ANSWER_MS, DESK, PHONE, check, sign_in
from tests.tiny_model import write_model
from tests.waiting import await_that

pytestmark = [pytest.mark.story, pytest.mark.browser]

PROVIDER = "provider@example.com"
MEASURED_MS = 150_000  # on a machine with much else to do
SLOW_BYTES_PER_S = 1_500_000
CHUNK_BYTES = 1_000_000
CARD = """---
license: apache-2.0
pipeline_tag: text-generation
tags: [verse, tiny]
---
# Little sonnets

Writes what looks like **verse**.
"""


@pytest.fixture(autouse=True)
def db(stack: Stack) -> None:
    """In the place of pytest-django's: the rows of a running store are committed, so no transaction goes round a test."""


@pytest.fixture(scope="module", autouse=True)
def cpu_worker(stack: Stack, site: str) -> None:
    """Who checks, and whom the GPU worker tells what it measured."""
    stack.start_cpu()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of some ten megabytes, and beside it what people leave in such folders."""
    made = write_model(tmp_path_factory.mktemp("drop") / "little-sonnets", seed=7, width=256, layers=3)
    (made / "README.md").write_text(CARD)
    (made / ".DS_Store").write_bytes(b"\0")
    (made / "optimizer.pt").write_bytes(b"PK\x03\x04 weights of an optimizer")
    return made


@pytest.fixture
def provider(page: Page) -> Page:
    """The provider's browser, which asks before it leaves a page that is sending."""
    sign_in(page, PROVIDER)
    page.on("dialog", lambda dialog: dialog.accept())
    return page


def begin(page: Page, name: str) -> None:
    page.goto("/publish")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Licence").fill("apache-2.0")
    page.get_by_role("button", name="Go on to the files").click()
    expect(page.get_by_text("Drop your model’s folder here")).to_be_visible()


def drop(page: Page, folder: Path) -> None:
    """As a hand does it: the folder itself, from outside of the browser."""
    box = page.locator("[data-dropzone]").bounding_box()
    assert box
    where = {"x": box["x"] + box["width"] / 2, "y": box["y"] + 20}
    data: dict[str, Any] = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **where, "data": data})


def in_chunks(page: Page) -> None:
    """Smaller ones than usual, so that a file of some megabytes has several: of a chunk with a checksum, all counts or nothing."""
    page.locator("[data-uploader]").evaluate(f"host => host.dataset.chunk = '{CHUNK_BYTES}'")


def slow_down(page: Page) -> Callable[[], None]:
    """Uploads take seconds from now on; the answer ends that."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    terms: dict[str, Any] = {"offline": False, "latency": 0, "downloadThroughput": -1}

    def limit(bytes_per_s: int) -> None:
        session.send("Network.emulateNetworkConditions", {**terms, "uploadThroughput": bytes_per_s})

    limit(SLOW_BYTES_PER_S)
    return lambda: limit(-1)


def row(page: Page, path: str) -> Any:
    return page.locator(".upload-row", has=page.locator(".upload-path", has_text=re.compile(f"^{re.escape(path)}$")))


def test_from_a_folder_to_a_model_that_a_stranger_finds_and_calls(
    provider: Page, folder: Path, stack: Stack, chromium: Browser, site: str, model: str
) -> None:
    page, name = provider, f"{model.partition('/')[0]}/little-sonnets"
    begin(page, "little-sonnets")
    drop(page, folder)
    expect(row(page, "optimizer.pt")).to_contain_text("pickle")  # refused by its name, before a byte was sent
    expect(row(page, "model.safetensors")).to_contain_text("Arrived", timeout=ANSWER_MS)
    expect(page.locator(".upload-path", has_text=".DS_Store")).to_have_count(0)
    page.get_by_role("link", name="Go on", exact=True).click()
    expect(page.locator("#arrived table")).to_contain_text("tokenizer.json")
    page.get_by_role("button", name="Check these files").click()
    expect(page.get_by_text("The files are good")).to_be_visible(timeout=ANSWER_MS)
    page.get_by_role("link", name="Go on", exact=True).click()
    expect(page.get_by_text("What the store measured")).to_be_visible(timeout=MEASURED_MS)
    page.get_by_role("link", name="Go on to the price").click()
    page.get_by_label("Input", exact=True).fill("0.10")
    page.get_by_label("Output", exact=True).fill("0.40")
    expect(page.locator("#earnings")).to_contain_text("$0.1")
    page.get_by_role("button", name="Save the price").click()
    expect(page.locator("#step")).to_contain_text("apache-2.0")
    page.reload()  # all of it is in the store, nothing in the browser
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_text("It is in the store")).to_be_visible()

    context = chromium.new_context(viewport=DESK, base_url=site)  # type: ignore[arg-type]
    consumer = context.new_page()
    sign_in(consumer)
    found = consumer.get_by_role("link", name=name)

    def is_found() -> bool:
        consumer.goto("/models?q=sonets")  # a letter is missing: search forgives that
        return found.count() > 0

    await_that(is_found, "search knows the new model", timeout_s=60)
    found.first.click()
    expect(consumer.locator("main")).to_contain_text("Writes what looks like")
    consumer.goto("/keys/new")
    consumer.get_by_label("Name").fill("sonnets")
    consumer.get_by_label(name).check()
    consumer.get_by_role("button", name="Make the key").click()
    secret = consumer.locator("#secret").inner_text()
    context.close()
    made = stack.client(secret, max_retries=8).completions.create(model=name, prompt="Shall I", max_tokens=8)
    assert made.usage
    assert made.usage.completion_tokens == 8


def test_an_upload_that_a_reload_broke_off_sends_only_the_rest(provider: Page, folder: Path, tmp_path: Path) -> None:
    page = provider
    other = write_model(tmp_path / "second", seed=8, width=256, layers=3)
    size = (other / "model.safetensors").stat().st_size
    begin(page, "second")
    in_chunks(page)
    speed_up = slow_down(page)
    page.locator("[data-dropzone] input").first.set_input_files(other)
    bar = row(page, "model.safetensors").locator("progress")
    expect(row(page, "model.safetensors")).to_contain_text("Sent", timeout=ANSWER_MS)
    page.wait_for_function("bar => bar.value > 0.3", arg=bar.element_handle(), timeout=ANSWER_MS)
    page.reload()

    expect(page.locator(".uploader .alert").first).to_contain_text("model.safetensors")
    in_chunks(page)
    speed_up()
    offsets: list[int] = []

    def heard(request: Request) -> None:
        if request.method == "PATCH":
            offsets.append(int(request.headers["upload-offset"]))

    page.on("request", heard)
    page.locator("[data-dropzone] input").first.set_input_files(other)
    expect(page.locator("#arrived table")).to_contain_text("model.safetensors", timeout=ANSWER_MS)
    assert offsets  # of the one file that was not whole; the others are there already
    assert size // 5 < offsets[0] < size
    assert offsets == sorted(offsets)


def test_who_cancels_has_saved_nothing(provider: Page, tmp_path: Path) -> None:
    page = provider
    other = write_model(tmp_path / "cancelled", seed=9, width=256, layers=3)
    begin(page, "cancelled")
    slow_down(page)
    page.locator("[data-dropzone] input").nth(1).set_input_files([other / "config.json", other / "model.safetensors"])
    expect(row(page, "config.json")).to_contain_text(re.compile("Arrived|Already here"), timeout=ANSWER_MS)
    expect(row(page, "model.safetensors")).to_contain_text("Sent", timeout=ANSWER_MS)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("[data-uploader] [data-batch]")).to_be_hidden()
    page.reload()
    expect(page.locator("#arrived table")).to_contain_text("README.md")
    expect(page.locator("#arrived table")).not_to_contain_text("config.json")
    expect(page.locator(".uploader .alert").first).to_be_hidden()  # nothing waits for its rest


def test_what_the_store_has_is_not_sent_again_and_what_is_wrong_says_how_to_mend_it(
    provider: Page, tmp_path: Path
) -> None:
    page = provider
    folder = write_model(tmp_path / "twice", seed=13, width=256, layers=3)  # that no other test has sent
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Twice\n")
    wanted = [folder / name for name in ("model.safetensors", "config.json", "README.md")]
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "PATCH" else None)
    for name in ("third", "fourth"):
        begin(page, name)
        sent.clear()
        page.locator("[data-dropzone] input").nth(1).set_input_files(wanted)
        expect(page.locator("#arrived table")).to_contain_text("config.json", timeout=ANSWER_MS)
    assert sent == []
    page.get_by_role("button", name="Check these files").click()
    problem = page.locator(".problem", has_text="tokenizer.json")
    expect(problem).to_contain_text("save_pretrained", timeout=ANSWER_MS)
    problem.locator("input[type=file]").set_input_files(folder / "tokenizer.json")
    expect(page.locator("#arrived table")).to_contain_text("tokenizer.json", timeout=ANSWER_MS)
    page.get_by_role("button", name="Check these files").click()
    expect(page.get_by_text("The files are good")).to_be_visible(timeout=ANSWER_MS)


def test_a_pickle_that_is_dropped_is_converted_on_a_worker(provider: Page, tmp_path: Path, model: str) -> None:
    page = provider
    tuned = GPT2LMHeadModel.from_pretrained(write_model(tmp_path / "tuned", seed=11, width=64, layers=4)).state_dict()
    torch.save(tuned, tmp_path / "fine_tuned.pth")
    begin(page, "converted")
    page.locator("[data-dropzone] input").nth(1).set_input_files(tmp_path / "fine_tuned.pth")
    refused = row(page, "fine_tuned.pth")
    expect(refused).to_contain_text("python -m inference.convert")
    refused.get_by_role("button", name="Convert it here").click()
    base = page.get_by_role("region", name="Convert it here, in a sandbox").get_by_label("Base")
    expect(base).to_be_focused()
    base.fill(model)
    base.press("Enter")
    expect(page.locator("#conversion")).to_contain_text("safetensors now, on main", timeout=MEASURED_MS)
    expect(page.locator("#arrived table")).to_contain_text("model.safetensors", timeout=ANSWER_MS)
    expect(page.locator("#arrived table")).to_contain_text("config.json")
    page.get_by_role("button", name="Check these files").click()
    expect(page.get_by_text("The files are good")).to_be_visible(timeout=ANSWER_MS)


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_no_page_of_a_provider_is_wider_than_the_screen(provider: Page, size: dict[str, int], model: str) -> None:
    provider.set_viewport_size(size)  # type: ignore[arg-type]
    pages = ["", "/files", "/card", "/prices", "/analytics", "/access", "/settings"]
    check(provider, ["/publish", "/provider", "/provider/analytics", "/settings/tokens"])
    check(provider, [f"/{model}/manage{page}" for page in pages])
    check(provider, [f"/publish/{model}/{step}" for step in ("details", "files", "checks", "price", "review")])
