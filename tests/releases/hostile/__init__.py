"""What nobody should publish, by what is wrong with it."""

from __future__ import annotations

from typing import Final

from tests.releases.folders import Case
from tests.releases.hostile import adapters, cards, configs, names, tokenizers, weights

CASES: Final[list[Case]] = [
    *names.CASES, *weights.CASES, *configs.CASES, *tokenizers.CASES, *cards.CASES, *adapters.CASES,
]  # fmt: skip
