"""Requests that came before, by their Idempotency-Key; read and written under the lock of their organization."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from store.ledger.sql import array, bytes_array, execute, text_array
from store.runs.books import OpenRun, ReplayFound, ReplayInProgress, ReplayMismatch

REPLAY_HOURS = 24  # an answer is kept for this long, then its key is free again
RETRY_REPLAY_S = 1.0

_Name = tuple[int, int | None, str]  # organization, API key, Idempotency-Key


@dataclass(frozen=True, slots=True)
class _Earlier:
    """A request that used the key first. ``found`` None: it is still being served."""

    body_sha256: bytes
    found: ReplayFound | None


class Replays:
    """The Idempotency-Keys of one batch of opening runs."""

    def __init__(self, batch: Sequence[OpenRun], *, now: datetime) -> None:
        wanted = {_name(run) for run in batch if run.replay}
        self._oldest = now - timedelta(hours=REPLAY_HOURS)
        self._earlier = self._read(wanted) if wanted else {}
        self._new: list[OpenRun] = []

    def answer(self, run: OpenRun) -> ReplayFound | None:
        """The earlier answer, or None where the key is new. Raises ReplayMismatch, ReplayInProgress."""
        earlier = self._earlier.get(_name(run)) if run.replay else None
        if earlier is None or run.replay is None:
            return None
        if earlier.body_sha256 != run.replay.body_sha256:
            raise ReplayMismatch
        if earlier.found is None:
            raise ReplayInProgress(retry_after_s=RETRY_REPLAY_S)
        return earlier.found

    def remember(self, run: OpenRun) -> None:
        """The run was opened: from here on its key is in use."""
        if run.replay:
            self._earlier[_name(run)] = _Earlier(run.replay.body_sha256, None)
            self._new.append(run)

    def write(self) -> None:
        """The new keys; a row that is there under the same key is too old to count, and gives way."""
        if not self._new:
            return
        replays = [run.replay for run in self._new if run.replay]
        execute(
            """INSERT INTO runs_replay AS r (organization_id, api_key_id, key, body_sha256, run_id)
               SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bytea[], %s::uuid[])
               ON CONFLICT (organization_id, key, api_key_id) DO UPDATE SET
                   body_sha256 = EXCLUDED.body_sha256, run_id = EXCLUDED.run_id, chunks = NULL, created_at = now()""",
            array([run.organization_id for run in self._new]),
            array([run.api_key_id for run in self._new]),
            text_array([replay.key for replay in replays]),
            bytes_array([replay.body_sha256 for replay in replays]),
            array([run.run_id for run in self._new]),
        )

    def _read(self, wanted: set[_Name]) -> dict[_Name, _Earlier]:
        rows = execute(
            """SELECT p.organization_id, p.api_key_id, p.key, p.body_sha256, p.chunks, p.run_id
               FROM unnest(%s::bigint[], %s::text[]) AS w(organization_id, key)
               JOIN runs_replay p ON p.organization_id = w.organization_id AND p.key = w.key
               WHERE p.created_at > %s::timestamptz""",
            array([organization_id for organization_id, _api_key_id, _key in wanted]),
            text_array([key for _organization_id, _api_key_id, key in wanted]),
            self._oldest.isoformat(),
        )
        tokens = _tokens([run_id for *_others, run_id in rows])
        return {
            (organization_id, api_key_id, key): _Earlier(bytes(body), _found(chunks, run_id, *tokens[run_id]))
            for organization_id, api_key_id, key, body, chunks, run_id in rows
        }


def _name(run: OpenRun) -> _Name:
    return run.organization_id, run.api_key_id, run.replay.key if run.replay else ""


def _tokens(run_ids: Sequence[UUID]) -> dict[UUID, tuple[int, int]]:
    """(prompt_tokens, max_tokens) of runs. Apart from what asks for them, most keys are new, and no month is read."""
    if not run_ids:
        return {}
    rows = execute(
        "SELECT id, prompt_tokens, max_tokens FROM runs_run WHERE id = ANY(%s::uuid[])",
        array(run_ids),
        plan_anew=True,
    )
    return {run_id: (prompt, most) for run_id, prompt, most in rows}


def _found(chunks: bytes | None, run_id: UUID, prompt_tokens: int, max_tokens: int) -> ReplayFound | None:
    if chunks is None:
        return None
    return ReplayFound(run_id=run_id, chunks=bytes(chunks), prompt_tokens=prompt_tokens, max_tokens=max_tokens)
