"""What can be wrong with a wish to train. Each is a sentence for the person, and a stable code for the program."""

from __future__ import annotations

from typing import ClassVar

from store.errors import Conflict, InvalidRequest, NotFound, PermissionDenied


class JobNotFound(NotFound):
    """There is no such job, or not for this caller."""

    code = "fine_tuning_job_not_found"
    default_message = "There is no such fine-tuning job."


class BaseRefused(InvalidRequest):
    """This model cannot be trained further: by what it is, or by its provider's terms."""

    code: ClassVar[str] = "base_not_tunable"


class DataRefused(InvalidRequest):
    """This file cannot be trained on in this way."""

    code: ClassVar[str] = "invalid_training_file"


class TooManyJobs(Conflict):
    """The organization has as many jobs open as it may."""

    code = "too_many_jobs"
    status = 429


class MayNotTune(PermissionDenied):
    """The role of the user does not let them spend on trainings."""

    code = "may_not_tune"
    default_message = "Your role in this organization may not start or stop trainings."


class FileNotReady(Conflict):
    """The file is still being read, or cannot be used; the message says which."""

    code = "file_not_ready"


class FileInUse(Conflict):
    """A training works with the file."""

    code = "file_in_use"


class CheckpointUnfit(Conflict):
    """The model of a checkpoint did not pass the checks; the message says why."""

    code = "checkpoint_unfit"
