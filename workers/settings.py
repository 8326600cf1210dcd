"""Every knob of a GPU worker, and the only reader of the environment on this side. docs/settings.md documents each.

A GPU worker knows no database. Where it runs beside the store, the defaults lead to the store's own Valkey: they name the same
socket as ``store.embedded``, and a test compares the two.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

from environs import Env, EnvError

BASE_DIR: Final = Path(__file__).resolve().parent.parent
SOCKET_PATH_LIMIT: Final = 90  # bytes, see store.embedded


class BadSetting(Exception):
    """A variable of the environment that makes no sense."""


def embedded_redis_url(data_dir: Path) -> str:
    """Where the store's own Valkey listens, when there is no other."""
    sockets = data_dir / "run"
    if len(os.fsencode(sockets)) > SOCKET_PATH_LIMIT:
        sockets = Path(tempfile.gettempdir()) / f"gpt-store-{hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]}"
    return f"unix://{sockets / 'valkey.sock'}"


env = Env(prefix="")
try:
    DATA_DIR = Path(env.str("DATA_DIR", str(BASE_DIR / ".data"))).resolve()
    REDIS_URL = env.str("REDIS_URL", "") or embedded_redis_url(DATA_DIR)
    BROKER_URL = env.str("BROKER_URL", "") or REDIS_URL.replace("unix://", "redis+socket://", 1)
    ENGINE = env.str("ENGINE", "native")
    DEVICE = env.str("DEVICE", "auto")
    DTYPE = env.str("DTYPE", "auto")
    GPU_SLOTS = env.int("GPU_SLOTS", 64)
    MAX_BATCH = env.int("MAX_BATCH", 32)
    MAX_STEP_TOKENS = env.int("MAX_STEP_TOKENS", 512)
    MEMORY_LIMIT = env.int("MEMORY_LIMIT", 0)
    TORCH_THREADS = env.int("TORCH_THREADS", 0)
    TUNE_SLOTS = env.int("TUNE_SLOTS", 1)
    DRAIN_S = env.float("DRAIN_S", 20.0)
    LOG_LEVEL = env.str("LOG_LEVEL", "INFO").upper()
except EnvError as error:
    raise BadSetting(f"{error}. docs/settings.md lists every setting.") from error

if ENGINE != "native":
    raise BadSetting(f"ENGINE={ENGINE!r} is not known: this worker has 'native' only.")
for _name, _value, _least in (
    ("GPU_SLOTS", GPU_SLOTS, 1),
    ("MAX_BATCH", MAX_BATCH, 1),
    ("MAX_STEP_TOKENS", MAX_STEP_TOKENS, 1),
    ("MEMORY_LIMIT", MEMORY_LIMIT, 0),
    ("TORCH_THREADS", TORCH_THREADS, 0),
    ("TUNE_SLOTS", TUNE_SLOTS, 0),
    ("DRAIN_S", DRAIN_S, 0),
):
    if _value < _least:
        raise BadSetting(f"{_name}={_value} must be {_least} or more.")

WEIGHTS_DIR = DATA_DIR / "weights"
# What a child that trains may know of this process's environment: where its libraries and its devices are.
CHILD_ENVIRONMENT: Final = {
    name: os.environ[name]
    for name in ("PATH", "LANG", "LD_PRELOAD", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_HOME")
    if name in os.environ
}
