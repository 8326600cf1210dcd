"""Opens a provider's files for the first time: in a child process with little memory and time, and nothing of ours in it.

Run as ``python -m store.catalog.inspection FOLDER`` it is that child: it prints what the folder holds as JSON. It knows no settings,
no database and no secret, and whatever happens to it, the store goes on.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from inference.manifest import FileEntry, Problem, inspect_folder
from store.catalog.card import Card, CardError, read_card

MEMORY_BYTES = 2 * 1024**3
BYTES_PER_S = 20 * 1024**2  # the slowest disk that we wait for
BASE_TIMEOUT_S = 60
PROBE = "Who's there? \u00e9\U0001f600\n"
INSTALLED = Path(__file__).resolve().parent.parent.parent  # where ``store`` and ``inference`` are imported from


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """What a folder holds. It can be published where ``problems`` is empty: then the numbers are those of the model."""

    files: tuple[FileEntry, ...]
    digest: str
    architecture: str
    parameters: int
    context_length: int  # tokens
    vocab_size: int
    card: Card
    problems: tuple[Problem, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def inspect(folder: Path) -> Inspection:
    """Inspects in a child. Raises OSError where the folder cannot be listed; a child that dies is a problem of the folder's."""
    size = sum(item.stat().st_size for item in folder.iterdir() if item.is_file())
    command = [sys.executable, "-m", "store.catalog.inspection", str(folder.resolve())]
    environment = {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(INSTALLED),
        "TOKENIZERS_PARALLELISM": "false",
    }
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            timeout=BASE_TIMEOUT_S + size / BYTES_PER_S,
            check=False,
            cwd="/",
        )
    except subprocess.TimeoutExpired:
        return _refused(
            "timeout", "Reading these files took too long. Is tokenizer.json as the tokenizers library wrote it?"
        )
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2][:300]
        return _refused("crashed", f"These files cannot be read: {last or f'the reader ended with {done.returncode}'}.")
    said = json.loads(done.stdout)
    card = Card(**{**said["card"], "tags": tuple(said["card"]["tags"])})
    files, problems = (
        (FileEntry(**file) for file in said["files"]),
        (Problem(**problem) for problem in said["problems"]),
    )
    return Inspection(**{**said, "card": card, "files": tuple(files), "problems": tuple(problems)})


def _refused(code: str, message: str) -> Inspection:
    return Inspection(
        files=(), digest="", architecture="", parameters=0, context_length=0, vocab_size=0, card=Card(),
        problems=(Problem("", code, message),),
    )  # fmt: skip


def _inspect_here(folder: Path) -> Inspection:
    report = inspect_folder(folder)
    problems, card = list(report.problems), Card()
    names = {file.path for file in report.files}
    if not problems and "README.md" in names:
        try:
            card = read_card((folder / "README.md").read_text(errors="replace"))
        except CardError as error:
            problems.append(Problem("README.md", "bad_card", str(error)))
    if not problems:
        problems += _try_tokenizer(folder)
    return Inspection(
        files=report.files,
        digest=report.digest,
        architecture=report.architecture or "",
        parameters=report.parameters or 0,
        context_length=report.context_length or 0,
        vocab_size=report.vocab_size or 0,
        card=card,
        problems=tuple(problems),
    )


def _try_tokenizer(folder: Path) -> list[Problem]:
    """Loads and runs the tokenizer, as every process that serves the model will."""
    from tokenizers import Tokenizer  # only the child pays for it

    try:
        Tokenizer.from_file(str(folder / "tokenizer.json")).encode(PROBE)
    except BaseException as error:  # a panic in the library's Rust is no Exception
        return [
            Problem(
                "tokenizer.json",
                "bad_tokenizer",
                f"The tokenizers library cannot use tokenizer.json: {str(error)[:300]}",
            )
        ]
    return []


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it writes nothing but its answer
    found = _inspect_here(Path(sys.argv[1]))
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
