"""Tokenizers and chat templates: broken, of another model, and programs that never end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.releases.folders import Case, edit, put, remove

TOKENIZER = "tokenizer.json"
BAD = {"bad_tokenizer"}
LOOP = "{% for a in range(99999) %}"
END = "{% endfor %}"


def change(mend: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Changes the parsed tokenizer.json in place."""

    def spoil(folder: Path) -> None:
        made = json.loads((folder / TOKENIZER).read_text())
        mend(made)
        (folder / TOKENIZER).write_text(json.dumps(made))

    return spoil


def pattern(regex: str) -> Callable[[Path], None]:
    split = {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}
    return change(lambda made: made.update(pre_tokenizer=split))


def added(token: dict[str, Any]) -> Callable[[Path], None]:
    return change(lambda made: made["added_tokens"].append(token))


def template(name: str, source: str, word: str) -> Case:
    return Case(name, put("chat_template.jinja", source), {"bad_template"}, word)


TOKEN = {
    "id": 300,
    "content": "<far>",
    "special": True,
    "single_word": False,
    "lstrip": False,
    "rstrip": False,
    "normalized": False,
}
WORDS = {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"}

CASES = [
    Case("no tokenizer", remove(TOKENIZER), {"missing"}, "AutoTokenizer"),
    Case("a tokenizer of 0 bytes", put(TOKENIZER, b""), {"empty"}, "tokenizer.json is empty"),
    Case("a tokenizer that is no JSON", put(TOKENIZER, "vocab"), {"bad_json"}, "not valid JSON"),
    Case("a tokenizer nested deeply", put(TOKENIZER, "[" * 200_000), {"bad_json"}, "nested"),
    Case("a tokenizer without a vocabulary", put(TOKENIZER, "{}"), BAD, "no vocabulary"),
    Case("a token that the model does not know", added(TOKEN), {"tokenizer_differs"}, "the token 300"),
    Case("a token of 10^15", added(TOKEN | {"id": 10**15}), {"tokenizer_differs"}, str(10**15)),
    Case("a negative token", change(lambda made: made["model"]["vocab"].update(x=-5)), BAD, "-5"),
    Case("a model that the library does not know", change(lambda made: made["model"].update(type="Evil")), BAD, "cannot be used"),
    Case("merges of words that are not there", change(lambda made: made["model"].update(merges=[["qq", "zz"]])), BAD, "Save it again"),
    Case("a regular expression that does not close", pattern("("), BAD, "cannot be used"),
    Case("a regular expression nested 10,000 deep", pattern("(" * 10_000 + ")" * 10_000), BAD, "cannot be used"),
    Case("no decoder", change(lambda made: made.update(decoder=None)), BAD, "decoder"),
    Case("every word is unknown", change(lambda made: made.update(model=WORDS)), BAD, "back again"),
    Case("added tokens that are texts", change(lambda made: made.update(added_tokens=["<s>"])), BAD, "cannot be used"),
    Case("a special token without an id", change(lambda made: made.update(added_tokens=[{"content": "<s>"}])), BAD, "cannot be used"),
    Case("special tokens that are a list", put("special_tokens_map.json", "[]"), {"bad_json"}, "special_tokens_map.json"),
    Case("a tokenizer config with a key twice", put("tokenizer_config.json", '{"a":1,"a":2}'), {"bad_json"}, "twice"),
    template("a template that does not compile", "{% for %}", "compiled"),
    template("a template without an end", LOOP * 3 + END * 3, "takes too long"),
    template("a template that calls itself", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "failed"),
    template("a template that doubles a text", "{% set n = namespace(s='a') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
             "too much text"),
    template("a template that multiplies", "{{ 'a' * 10**10 }}", "too much text"),
    template("a power of powers", "{{ 9**9**9 }}", "too large"),
    template("a template that pads", "{{ '%1000000000d' % 1 }}", "pattern"),
    template("a template that looks for Python", "{{ ''.__class__.__mro__[1].__subclasses__() }}", "failed"),
    template("a template that wants files", "{% include '/etc/passwd' %}", "failed"),
    template("a template that says no to one question", "{{ raise_exception('never') }}", "never"),
    template("a template of 300 KB", "x" * 300_000, "300000 characters"),
    Case("a template in the config that does not end", edit("tokenizer_config.json", chat_template=LOOP * 3 + END * 3), {"bad_template"},
         "takes too long"),
    Case("a template in Latin-1", put("chat_template.jinja", "é".encode("latin-1")), {"bad_text"}, "UTF-8"),
]  # fmt: skip
