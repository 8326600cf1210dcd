"""The first call, ready to paste."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings


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


def export_line(secret: str) -> str:
    """What puts a key where the snippets look for it."""
    return f"export GPT_STORE_KEY={secret}"


def snippets(model: str) -> list[Snippet]:
    """One for each client, for this model and this store's public address."""
    clients = (("curl", "curl", CURL), ("python", "Python", PYTHON), ("javascript", "JavaScript", JAVASCRIPT))
    return [Snippet(name, label, code.format(url=settings.PUBLIC_URL, model=model)) for name, label, code in clients]
