"""Licences by their SPDX identifiers, as a card names them."""

from __future__ import annotations

import difflib
from functools import cache

from license_expression import Licensing, get_spdx_licensing  # type: ignore[import-untyped]

MAX_CHARS = 60
UNNAMED = ("other", "unknown")
# Names that the Hub has beside SPDX's, each for one well-known text. That text comes along as LICENSE.
HUB_NAMES = frozenset(
    (
        "apple-amlr", "apple-ascl", "bigcode-openrail-m", "bigscience-bloom-rail-1.0", "bigscience-openrail-m",
        "creativeml-openrail-m", "deepfloyd-if-license", "fair-noncommercial-research-license", "gemma", "grok2-community",
        "h-research", "intel-research", "lfm1.0", "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4",
        "open-mdw", "openrail", "openrail++",
    )
)  # fmt: skip
LICENCE_FILES = frozenset(("LICENSE", "LICENSE.md", "LICENSE.txt"))


def licence_fault(licence: str, *, name: str = "", has_text: bool = False) -> str | None:
    """What is wrong with a licence, as a sentence that says how to mend it; None where nothing is.

    ``name``: the card's ``license_name``. ``has_text``: the files have a LICENSE.
    """
    known = licence.strip().lower()
    if known in UNNAMED:
        if name and has_text:
            return None
        return f"A licence {known!r} needs its name as `license_name:` in README.md, and its text as a file LICENSE."
    if known in HUB_NAMES:
        return None if has_text else f"{known!r} is no SPDX identifier: upload its text as a file LICENSE."
    if len(known) <= MAX_CHARS and is_spdx(known):
        return None
    near = difflib.get_close_matches(known.replace(" ", "-")[:MAX_CHARS], _identifiers(), 1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return (
        f"{licence[:MAX_CHARS]!r} is no SPDX identifier, such as apache-2.0.{hint} A licence of your own is `license: other`, "
        "with `license_name:` and a file LICENSE."
    )


def is_spdx(licence: str) -> bool:
    """An identifier, or an expression of several: ``mit or apache-2.0``."""
    try:
        return not _licensing().validate(licence).errors
    except Exception:  # the library raises several kinds on an odd expression, RecursionError and TypeError among them
        return False


@cache
def _licensing() -> Licensing:
    return get_spdx_licensing()


@cache
def _identifiers() -> tuple[str, ...]:
    return tuple(sorted(_licensing().known_symbols_lowercase))
