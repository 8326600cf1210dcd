"""The child that trains: ``python -m inference.training TASK.json``. It has no network, no credentials, and the limits that the task says.

Only a worker starts it; what it says is in ``inference.training.voice``.
"""

from __future__ import annotations

import signal
import sys
import traceback
from pathlib import Path

from inference.isolation import Limits, isolate
from inference.training.task import TrainingTask
from inference.training.voice import Voice

OPEN_FILES = 1024
OURS = ("out_of_memory", "disk_full", "worker_failed")


def main() -> int:
    task = TrainingTask.read(Path(sys.argv[1]))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit fails like one on a full disk
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # its worker hears it as well, and says what to do
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    isolation = isolate(
        Limits(
            memory_bytes=task.memory_bytes or None,
            cpu_s=None,
            file_bytes=task.file_bytes or None,
            open_files=OPEN_FILES,
        )
    )
    voice = Voice()
    voice.say("isolation", text=isolation)
    code, error = _train(task, voice)
    if code:
        voice.say("failed", code=code, error=error, is_ours=code in OURS)
    return 1 if code else 0


def _train(task: TrainingTask, voice: Voice) -> tuple[str, str]:
    """A code and a sentence of what went wrong, or two empty texts."""
    # torch takes seconds to import, and threads that a limit on processes would not allow: not before the child is what it should be.
    from inference.training.run import failure_of, train

    try:
        train(task, voice)
    except BaseException as error:
        traceback.print_exc()
        return failure_of(error)
    return "", ""


if __name__ == "__main__":
    sys.exit(main())
