"""The child that fetches a model from another Hub: ``python -m workers.snapshot``, told what to do in a line of JSON on its input.

It knows no database and no secret but the other Hub's token. It opens none of the files: that is for the checks. On its output it says
in lines of JSON what it found (``resolved``, ``files``) and how it ended (``error``, or nothing). It ends when its input does, which
its parent holds open, so that it outlives nobody.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from inference.manifest import check_path

PARALLEL = 4
SECOND_COPY = "consolidated"  # the same weights in their maker's own shape


def main() -> None:
    job = json.loads(sys.stdin.readline())
    try:
        _fetch(job)
    except (GatedRepoError, RepositoryNotFoundError):
        _say(error=f"There is no {job['repo_id']} there, or it is not open to this store.", is_final=True)
    except RevisionNotFoundError:
        _say(error=f"{job['repo_id']} has no revision {job['revision']}.", is_final=True)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        _say(error=f"The other Hub could not be read: {' '.join(str(error).split())[:300]}", is_final=False)


def _fetch(job: dict[str, Any]) -> None:
    repo = {"repo_id": job["repo_id"], "token": job["token"] or False}
    info = HfApi(endpoint=job["endpoint"]).model_info(**repo, revision=job["revision"], files_metadata=True)
    siblings = {one.rfilename: one for one in info.siblings or [] if check_path(one.rfilename) is None}
    weights = [path for path in siblings if path.endswith(".safetensors")]
    if not weights:
        message = "has no safetensors. Ask its maker for them, or convert it on your own machine: python -m inference.convert."
        return _say(error=f"{job['repo_id']} {message}", is_final=True)
    if not all(path.startswith(SECOND_COPY) for path in weights):
        siblings = {
            path: one for path, one in siblings.items() if path not in weights or not path.startswith(SECOND_COPY)
        }
    files = {path: [one.size or 0, one.lfs.sha256 if one.lfs else ""] for path, one in siblings.items()}
    _say(resolved=info.sha, files=files)
    if not sys.stdin.readline():  # its parent does not want them
        return None
    threading.Thread(target=_end_with_parent, daemon=True).start()
    snapshot_download(
        **repo, endpoint=job["endpoint"], revision=info.sha, local_dir=job["folder"], allow_patterns=list(files),
        max_workers=PARALLEL,
    )  # fmt: skip
    return None


def _say(**message: Any) -> None:
    print(json.dumps(message), flush=True)


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)  # what it has fetched stays, for the next attempt


if __name__ == "__main__":
    main()
