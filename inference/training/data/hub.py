"""The child that reads a data set of a Hub by its name: ``python -m inference.training.data.hub``, told what in a line of JSON.

The Hub is that of HF_ENDPOINT. The job: ``token`` ("" is none), ``repo_id``, ``config`` ("": the only one), ``split``, ``revision``, ``most_rows`` (null: all),
``most_bytes``, ``path`` (where the JSONL goes) and ``limits``. It prints lines of JSON: ``resolved``, the commit; ``rows`` and ``size`` every
half second; and one last word: ``{"done": true}``, or ``{"error": sentence, "is_final": bool}``. It ends when its input does.

`datasets` streams the files of the split row by row, so that memory is flat. It runs no code of the data set (since its version 4), and
refuses one whose files lie outside its own repository (since 5): nothing is fetched from addresses that a stranger names.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from typing import IO, Any, Final

from inference.isolation import Limits, limit

SAY_EVERY_S: Final = 0.5
FLAT: Final = (
    "Value",
    "ClassLabel",
    "List",
    "LargeList",
    "Sequence",
    "Translation",
    "TranslationVariableLanguages",
    "Json",
)
MOST_SENTENCE: Final = 300


class Refused(Exception):
    """It cannot be imported. The message is a sentence for who asked."""


def main() -> None:
    job = json.loads(sys.stdin.readline())
    limit(Limits(**job["limits"]))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with open(job["path"], "w", encoding="utf-8", newline="\n") as out:
            _read(job, out)
    except Refused as error:
        _say(error=str(error), is_final=True)
    except Exception as error:
        _say(**_sentence(error, job))
    else:
        _say(done=True)


def _read(job: dict[str, Any], out: IO[str]) -> None:
    from datasets import load_dataset_builder

    builder = load_dataset_builder(
        job["repo_id"], job["config"] or None, revision=job["revision"], token=job["token"] or False
    )
    _say(resolved=_commit_of(builder))
    splits = list(builder.config.data_files or {})
    if job["split"] not in splits:
        raise Refused(f"There is no split {job['split']!r}. There are: {', '.join(splits) or 'none'}.")
    rows = builder.as_streaming_dataset(split=job["split"])
    _check_features(rows.features or {})
    said_at, count, size = 0.0, 0, 0
    for row in _first(rows, job["most_rows"]):
        line = json.dumps(row, ensure_ascii=False, default=_plain) + "\n"
        size += len(line.encode())
        if size > job["most_bytes"]:
            raise Refused(
                f"It is more than the {job['most_bytes'] / 1e6:,.0f} MB that there is room for. Take fewer rows."
            )
        out.write(line)
        count += 1
        if time.monotonic() - said_at >= SAY_EVERY_S:
            said_at = time.monotonic()
            _say(rows=count, size=size)
    if not count:
        raise Refused("There is nothing in this split.")
    _say(rows=count, size=size)


def _first(rows: Any, most: int | None) -> Iterator[dict[str, Any]]:
    yield from rows if most is None else rows.take(most)


def _commit_of(builder: Any) -> str:
    """The commit that is read: ``hf://datasets/acme/owls@<commit>/data/train.jsonl``."""
    files = [str(file) for files in (builder.config.data_files or {}).values() for file in files]
    found = re.match(r"hf://datasets/[^@]+@([^/]+)/", files[0]) if files else None
    return found[1] if found else ""


def _check_features(features: Any) -> None:
    """Raises Refused for pictures, sound and other bytes, of which no model here learns."""
    for name, feature in features.items():
        found = _not_flat(feature)
        if found:
            raise Refused(f"The column {name!r} holds {found}, and only text and numbers are trained on.")


def _not_flat(feature: Any) -> str:
    if isinstance(feature, dict):
        return next((found for each in feature.values() if (found := _not_flat(each))), "")
    kind = type(feature).__name__
    if kind not in FLAT:
        return kind
    if getattr(feature, "dtype", "") in ("binary", "large_binary"):
        return "bytes"
    inner = getattr(feature, "feature", None)
    return _not_flat(inner) if inner is not None else ""


def _plain(value: Any) -> Any:
    """What JSON does not know. Raises Refused."""
    if isinstance(value, (datetime, date, time_of_day)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return str(value)
    raise Refused(f"A row holds {type(value).__name__}, and only text and numbers are trained on.")


def _sentence(error: Exception, job: dict[str, Any]) -> dict[str, Any]:
    """What went wrong, for who asked, and whether another attempt would fare the same."""
    from datasets.exceptions import DatasetNotFoundError, DatasetsError
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    said = " ".join(str(error).split())[:MOST_SENTENCE]
    if isinstance(error, RevisionNotFoundError) or (
        isinstance(error, DatasetNotFoundError) and said.startswith("Revision")
    ):
        return {"error": f"{job['repo_id']} has no revision {job['revision']}.", "is_final": True}
    if isinstance(error, (DatasetNotFoundError, RepositoryNotFoundError, GatedRepoError)):
        return {"error": f"There is no {job['repo_id']} there, or it is not open to this store.", "is_final": True}
    if isinstance(error, MemoryError):
        return {"error": "Reading it took more memory than is given to it.", "is_final": True}
    if isinstance(error, (DatasetsError, ValueError, RuntimeError)):  # its configs, its files, its script
        return {"error": f"It cannot be read: {said}", "is_final": True}
    return {"error": f"The other Hub could not be read: {said}", "is_final": False}


def _say(**message: Any) -> None:
    print(json.dumps(message), flush=True)


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
