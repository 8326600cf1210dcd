"""The first call, ready to paste."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from store.catalog.models import Listing, Release, Weights
from store.hub.shapes import AUTO_MODELS


@dataclass(frozen=True, slots=True)
class Snippet:
    """``id`` names it in the page, ``label`` to people."""

    id: str
    label: str
    code: str


CURL = """curl {url}/v1/chat/completions \\
  -H "Authorization: Bearer $GPT_STORE_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{{
    "model": "{model}",
    "messages": [{{"role": "user", "content": "To be, or not to be"}}],
    "max_tokens": 120,
    "stream": true
  }}'"""
PYTHON = """import os
from openai import OpenAI

client = OpenAI(base_url="{url}/v1", api_key=os.environ["GPT_STORE_KEY"])
stream = client.chat.completions.create(
    model="{model}",
    messages=[{{"role": "user", "content": "To be, or not to be"}}],
    max_tokens=120,
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)"""
JAVASCRIPT = """import OpenAI from "openai";

const client = new OpenAI({{
  baseURL: "{url}/v1",
  apiKey: process.env.GPT_STORE_KEY,
}});
const stream = await client.chat.completions.create({{
  model: "{model}",
  messages: [{{ role: "user", content: "To be, or not to be" }}],
  max_tokens: 120,
  stream: true,
}});
for await (const chunk of stream) {{
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}}"""

CURL_EMBEDDINGS = """curl {url}/v1/embeddings \\
  -H "Authorization: Bearer $GPT_STORE_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{{
    "model": "{model}",
    "input": ["To be, or not to be"]
  }}'"""
PYTHON_EMBEDDINGS = """import os
from openai import OpenAI

client = OpenAI(base_url="{url}/v1", api_key=os.environ["GPT_STORE_KEY"])
made = client.embeddings.create(model="{model}", input=["To be, or not to be"])
print(made.data[0].embedding)"""
JAVASCRIPT_EMBEDDINGS = """import OpenAI from "openai";

const client = new OpenAI({{
  baseURL: "{url}/v1",
  apiKey: process.env.GPT_STORE_KEY,
}});
const made = await client.embeddings.create({{
  model: "{model}",
  input: ["To be, or not to be"],
}});
console.log(made.data[0].embedding);"""
CHAT = {"curl": CURL, "python": PYTHON, "javascript": JAVASCRIPT}
EMBEDDINGS = {"curl": CURL_EMBEDDINGS, "python": PYTHON_EMBEDDINGS, "javascript": JAVASCRIPT_EMBEDDINGS}
LABELS = {"curl": "curl", "python": "Python", "javascript": "JavaScript"}
HF = """export HF_ENDPOINT={url}
hf download {model} --local-dir {slug}"""
SNAPSHOT = """import os
os.environ["HF_ENDPOINT"] = "{url}"  # before the import

from huggingface_hub import snapshot_download

# This commit is release {number}. It never changes.
folder = snapshot_download("{model}", revision="{commit}")"""
FROM_PRETRAINED = """import os
os.environ["HF_ENDPOINT"] = "{url}"  # before the import

from transformers import {auto_class}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{model}")
model = {auto_class}.from_pretrained("{model}")"""
TOKEN = "export HF_TOKEN=gsu_…  # an access token of yours, with the scope read\n"
COMMIT_CHARS = 40  # of a release's digest: the Hub's clients take 40 hex digits for a commit


def export_line(secret: str) -> str:
    """What puts a key where the snippets look for it."""
    return f"export GPT_STORE_KEY={secret}"


def snippets(model: str, *, task: str = "text-generation") -> list[Snippet]:
    """One for each client, for this model and this store's public address."""
    clients = EMBEDDINGS if task == "feature-extraction" else CHAT
    return [
        Snippet(name, LABELS[name], code.format(url=settings.PUBLIC_URL, model=model)) for name, code in clients.items()
    ]


def downloads(listing: Listing, release: Release) -> list[Snippet]:
    """How the unmodified clients of the Hub fetch a release from here. A token is named where one is needed."""
    commit = release.digest.removeprefix("sha256:")[:COMMIT_CHARS]
    said = {
        "url": settings.PUBLIC_URL,
        "model": listing.name,
        "slug": listing.slug,
        "number": release.number,
        "commit": commit,
        "auto_class": AUTO_MODELS.get(release.task, "AutoModel"),
    }
    needs_token = listing.is_private or listing.weights != Weights.OPEN
    shell = (TOKEN if needs_token else "") + HF.format(**said)
    python = [("snapshot", "snapshot_download", SNAPSHOT), ("pretrained", "from_pretrained", FROM_PRETRAINED)]
    return [Snippet("hf", "hf", shell), *(Snippet(name, label, code.format(**said)) for name, label, code in python)]
