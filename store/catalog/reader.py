"""The child that opens a provider's files for the first time. ``store.catalog.inspection`` starts it.

It reads a job from its input and prints lines of JSON: ``{"stage": name}`` before each thing it begins, so that whoever sees it die
knows over what, and at the end ``{"found": ...}``. It knows no settings, no database and no secret.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from inference.isolation import Limits, forbid_processes, isolate
from inference.manifest import FileEntry, ManifestReport, Problem, inspect_folder
from store.catalog.card import Card, CardError, read_card
from store.catalog.licences import LICENCE_FILES, licence_fault
from store.catalog.trial import try_chat, try_long_texts, try_tokenizer


def main() -> None:
    job = json.load(sys.stdin)
    isolation = isolate(Limits(**job["limits"]))
    forbid_processes()
    _say(stage="files", isolation=isolation)
    known = {path: FileEntry(**entry) for path, entry in job["files"].items()} if job["files"] is not None else None
    _say(found=read_release(Path(job["folder"]), known, tokenizer_s=job["tokenizer_s"]))


def _say(**message: Any) -> None:
    print(json.dumps(message), flush=True)


def read_release(folder: Path, known: dict[str, FileEntry] | None = None, *, tokenizer_s: float = 60) -> dict[str, Any]:
    """Every check, one after the other; the fields of ``inspection.Inspection`` as JSON types. Raises OSError.

    ``tokenizer_s``: processor time to load the tokenizer, and again to read long texts; beyond it, the process ends.
    """
    report = inspect_folder(folder, hashes=known)
    problems = list(report.problems)
    _say(stage="card")
    card = _read_card(folder, report, problems)
    if not problems and any(file.path == "tokenizer.json" for file in report.files):
        problems += _try_prompt(folder, report, tokenizer_s)
    if report.adapter and not problems:
        report = _with_base(report, card, problems)
    return {
        "files": [asdict(file) for file in report.files],
        "digest": report.digest,
        "architecture": report.architecture or "",
        "parameters": report.parameters or 0,
        "context_length": report.context_length or 0,
        "vocab_size": report.vocab_size or 0,
        "task": report.task or "",
        "adapter": asdict(report.adapter) if report.adapter else None,
        "has_held_out": report.has_held_out,
        "has_chat_template": _has_chat_template(folder, report),
        "card": asdict(card),
        "problems": [asdict(problem) for problem in problems],
    }


def _read_card(folder: Path, report: ManifestReport, problems: list[Problem]) -> Card:
    names = {file.path for file in report.files}
    if "README.md" not in names:
        return Card()
    try:
        card = read_card((folder / "README.md").read_text(encoding="utf-8", errors="replace"))
    except CardError as error:
        problems.append(Problem("README.md", "bad_card", str(error)))
        return Card()
    has_text = bool(names & LICENCE_FILES)
    fault = licence_fault(card.licence, name=card.license_name, has_text=has_text) if card.licence else None
    if fault:
        problems.append(Problem("README.md", "bad_licence", fault))
    return card


def _try_prompt(folder: Path, report: ManifestReport, tokenizer_s: float) -> list[Problem]:
    tokens = report.adapter.tokens if report.adapter else report.vocab_size
    with _stage("tokenizer", tokenizer_s):
        encoder, problems = try_tokenizer(folder, vocab_size=tokens or 0)
    if encoder is None:
        return problems
    with _stage("long texts", tokenizer_s):
        problems = try_long_texts(encoder)
    _say(stage="chat template")  # it has limits of its own
    return problems or try_chat(folder, encoder)


@contextmanager
def _stage(name: str, limit_s: float) -> Iterator[None]:
    """Ends the process where the block needs more: a library that hangs hears no Python, and this signal has no handler."""
    _say(stage=name)
    signal.setitimer(signal.ITIMER_PROF, limit_s)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)


def _with_base(report: ManifestReport, card: Card, problems: list[Problem]) -> ManifestReport:
    """The base's digest may be in the card instead."""
    assert report.adapter is not None
    said = {digest for digest in (report.base_digest, card.base_model_digest) if digest}
    if len(said) != 1:
        what = "names two bases" if said else "does not name its base by digest"
        message = f'The adapter {what}. Write the digest that the base\'s page shows as "revision" into adapter_config.json: "sha256:…".'
        problems.append(Problem("adapter_config.json", "base_unnamed", message))
        return report
    return replace(report, adapter=replace(report.adapter, base_digest=said.pop()))


def _has_chat_template(folder: Path, report: ManifestReport) -> bool:
    names = {file.path for file in report.files}
    if "chat_template.jinja" in names:
        return True
    if "tokenizer_config.json" not in names or report.problems:
        return False
    return bool(json.loads((folder / "tokenizer_config.json").read_bytes()).get("chat_template"))


if __name__ == "__main__":
    main()
