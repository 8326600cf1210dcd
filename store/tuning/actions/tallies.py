"""How many tokens a file has for a base: counted by the child, once for each base and length."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from store.catalog import leases
from store.catalog.actions.moves import Transitions, move
from store.catalog.models import Release
from store.catalog.reads import release_folder
from store.errors import InvalidRequest
from store.outbox import send_after_commit
from store.tuning.child import ChildStopped, Refusal, ask_child, local
from store.tuning.errors import FileNotReady
from store.tuning.models import DataFile, FilePurpose, FileStatus, Tally, TallyStatus

MAX_ATTEMPTS = 3
MIN_LENGTH, MAX_LENGTH = 8, 1_048_576  # tokens of an example
COUNTED = ("examples", "tokens", "trainable_tokens", "truncated", "skipped", "longest", "histogram", "progress")

S = TallyStatus
UNDER_WAY = (S.QUEUED, S.RUNNING)
TRANSITIONS: Transitions = {S.QUEUED: (S.RUNNING, S.FAILED), S.RUNNING: (S.DONE, S.FAILED)}


@transaction.atomic
def tally_file(*, file: DataFile, release: Release, max_length: int) -> Tally:
    """The tally of a file for a base, which may still be under way: asked for again, it is the same one.

    The caller has seen to it that who asks may see both. Raises FileNotReady, InvalidRequest (``max_length``).
    """
    if file.purpose != FilePurpose.TUNE:
        raise InvalidRequest(_("%s is no training data.") % file.public_id, param="file")
    if file.status != FileStatus.PROCESSED:
        wait = _("%s is still being read.") % file.public_id
        raise FileNotReady(file.status_details if file.status == FileStatus.ERROR else wait, param="file")
    if not MIN_LENGTH <= max_length <= MAX_LENGTH:
        raise InvalidRequest(
            _("An example has %(least)d to %(most)d tokens.") % {"least": MIN_LENGTH, "most": MAX_LENGTH},
            param="max_length",
        )
    return tally_of(file=file, release=release, max_length=max_length)


def tally_of(*, file: DataFile, release: Release, max_length: int) -> Tally:
    """As ``tally_file``, unchecked: of a file that is still being read, too."""
    tally, is_new = Tally.objects.get_or_create(file=file, release=release, max_length=max_length)
    if is_new:
        send_after_commit("data.tally", tally.pk)
    return tally


def run_tally(tally_id: int) -> None:
    """Counts what is due, in a child process. For the worker, and not inside a transaction: it may run twice, the newest attempt wins."""
    due = Tally.objects.filter(pk=tally_id, status__in=UNDER_WAY)
    if not leases.take(due, status=S.RUNNING):
        return
    tally = due.select_related("file__blob").get()
    own = Tally.objects.filter(pk=tally.pk, attempts=tally.attempts, status=S.RUNNING)
    if tally.attempts > MAX_ATTEMPTS or tally.file.blob is None:
        move(tally, S.FAILED, TRANSITIONS, error=_("The file is gone, or counting was broken off too often."))
        return

    def take(message: dict[str, Any]) -> bool:
        return own.update(**{name: message["count"][name] for name in COUNTED}) == 1

    try:
        with leases.kept(own), local(tally.file.blob) as path:
            encoder = {"folder": str(release_folder(tally.release_id)), "config": None, "max_length": tally.max_length}
            refusal = ask_child(tally.file, path, encoder=encoder, take=take)
    except ChildStopped:
        return
    if own.exists():
        _finish(tally, refusal)


def _finish(tally: Tally, refusal: Refusal | None) -> None:
    if refusal:
        where = _("Line %d: ") % refusal.line if refusal.line else ""
        move(tally, S.FAILED, TRANSITIONS, error=where + refusal.message)
    else:
        move(tally, S.DONE, TRANSITIONS)


def due_tallies() -> list[int]:
    """Ids of those to be counted, for the first time or again."""
    due = Tally.objects.filter(status__in=UNDER_WAY, due_at__lte=Now()).order_by("due_at")
    return list(due.values_list("pk", flat=True)[:100])
