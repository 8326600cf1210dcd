"""Cards: front matter that takes all memory, is broken, or names no licence."""

from __future__ import annotations

from tests.releases.folders import Case, put

BAD = {"bad_card"}


def front(name: str, text: str, word: str, codes: set[str] = BAD) -> Case:
    return Case(name, put("README.md", f"---\n{text}\n---\n# Tiny\n"), codes, word)


def licence(name: str, text: str, word: str) -> Case:
    return front(name, text, word, {"bad_licence"})


LAUGHS = "a: &a [lol, lol]\n" + "\n".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "\n".join(
    f"{b}: &{b} {{<<: [*{a}, *{a}, *{a}]}}" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)

CASES = [
    front("a billion laughs", LAUGHS, "alias"),
    front("a billion merges", MERGES, "alias"),
    front("an alias of itself", "a: &a [*a]", "alias"),
    front("YAML that makes objects", "a: !!python/object/apply:os.system ['true']", "not YAML"),
    front("YAML that does not close", "a: [", "not YAML"),
    front("YAML with tabs", "a:\n\t- b", "not YAML"),
    front("a list", "- a\n- b", "name: value"),
    front("a word", "hello", "name: value"),
    front("nesting", "[" * 5_000, "nested too deeply"),
    front("40,000 characters", "x: " + "y" * 40_000, "32768 are the most"),
    front("a key that is a map", "? {a: b}\n: c", "not YAML"),
    front("a number of 20,000 digits", "title: " + "9" * 20_000, "not YAML"),
    front("a month 13", "date: 2024-13-45", "not YAML"),
    Case("a card with a zero byte", put("README.md", b"# a\0b"), {"bad_text"}, "UTF-8"),
    Case("a card in UTF-16", put("README.md", "# Tiny".encode("utf-16")), {"bad_text"}, "UTF-8"),
    licence("a licence that does not exist", "license: do-what-you-like", "no SPDX identifier"),
    licence("a licence in words", "license: Apache 2.0", "apache-2.0"),
    licence("a licence that is HTML", "license: <script>alert(1)</script>", "no SPDX identifier"),
    licence("a licence expression without an end", "license: mit or (", "no SPDX identifier"),
    licence("other, without a name", "license: other", "license_name"),
    licence("other, without a text", "license: other\nlicense_name: mine", "LICENSE"),
    licence("unknown", "license: unknown", "license_name"),
    licence("a licence of the Hub without its text", "license: llama3.1", "LICENSE"),
]  # fmt: skip
