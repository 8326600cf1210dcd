"""What the result of a job is called by: ``ft:acme/bard:team:suffix:id``, as OpenAI's; a checkpoint has ``:ckpt-step-N`` behind it."""

from __future__ import annotations

import re

from store.accounts.models import Organization
from store.catalog.models import Listing
from store.tuning.models.jobs import NAME_ID_CHARS

PREFIX = "ft:"
SCRATCH = "scratch"  # in place of the base's name
CHECKPOINT = re.compile(r"(?P<model>ft:.+):ckpt-step-(?P<step>\d{1,9})")
MAX_SLUG = 96


def model_name(*, base: Listing | None, organization: Organization, suffix: str, job_id: str) -> str:
    """The name of what a job makes; ``job_id`` is its public id."""
    return f"{PREFIX}{base.name if base else SCRATCH}:{organization.slug}:{suffix}:{short_id(job_id)}"


def split_checkpoint(name: str) -> tuple[str, int | None]:
    """The name of the model, and the step where it is a checkpoint's."""
    found = CHECKPOINT.fullmatch(name)
    return (found["model"], int(found["step"])) if found else (name, None)


def listing_slug(*, base: Listing | None, suffix: str, job_id: str) -> str:
    """The second half of the result's own name: ``bard-suffix``, or ``bard-id`` where there is no suffix."""
    tail = re.sub(r"[^a-z0-9]+", "-", (suffix or short_id(job_id)).lower()).strip("-") or "tuned"
    head = (base.slug if base else SCRATCH)[: MAX_SLUG - len(tail) - 1].rstrip("-_")
    return f"{head}-{tail}"


def short_id(job_id: str) -> str:
    """The part of a job's public id that is in names."""
    return job_id.rpartition("-")[2][:NAME_ID_CHARS]
