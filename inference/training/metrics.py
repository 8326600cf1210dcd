"""A line of CSV for every step, with OpenAI's names for the first columns; it goes with the checkpoints, so nothing of it is lost."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Final

from inference.wire import Point

METRICS: Final = "metrics.csv"
COLUMNS: Final = {
    "step": "step", "train_loss": "loss", "train_accuracy": "accuracy", "valid_loss": "val_loss",
    "valid_mean_token_accuracy": "val_accuracy", "learning_rate": "learning_rate", "grad_norm": "grad_norm",
    "trained_tokens": "trained_tokens",
}  # fmt: skip


class Metrics:
    """Writes one file, on from that of a checkpoint."""

    def __init__(self, folder: Path, *, resume: Path | None) -> None:
        """Raises :class:`OSError`."""
        self.path = folder / METRICS
        before = resume / METRICS if resume else None
        if before is not None and before.exists():
            shutil.copyfile(before, self.path)
        else:
            self.path.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
        self._file = self.path.open("a", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")

    def add(self, point: Point) -> None:
        """One step; numbers that are not known stay empty."""
        values = (getattr(point, field) for field in COLUMNS.values())
        self._writer.writerow("" if value is None else value for value in values)

    def copy_to(self, folder: Path) -> None:
        """All lines so far. Raises :class:`OSError`."""
        self._file.flush()
        shutil.copyfile(self.path, folder / METRICS)

    def close(self) -> None:
        """Raises :class:`OSError`."""
        self._file.close()
