"""From a file to a new private release: files of training data, what was counted in them, and the jobs that train on them."""

from store.tuning.models.files import (
    UNREAD,
    DataFile,
    DataFileQuerySet,
    DataFormat,
    FilePurpose,
    FileStatus,
    Tally,
    TallyStatus,
)
from store.tuning.models.imports import OPEN_IMPORT, DataImport, DataImportQuerySet, DataImportStatus
from store.tuning.models.jobs import (
    ENDED_JOB,
    OPEN_JOB,
    Adaptation,
    JobStatus,
    TuneJob,
    TuneJobQuerySet,
    TuneMethod,
    Wanted,
    unfinished_with,
)
from store.tuning.models.progress import (
    EventLevel,
    EventType,
    TuneCheckpoint,
    TuneCheckpointFile,
    TuneEvent,
    TunePoint,
    TuneSample,
)
from store.tuning.models.uploads import FileUpload, FileUploadPart

__all__ = [
    "ENDED_JOB",
    "OPEN_IMPORT",
    "OPEN_JOB",
    "UNREAD",
    "Adaptation",
    "DataFile",
    "DataFileQuerySet",
    "DataFormat",
    "DataImport",
    "DataImportQuerySet",
    "DataImportStatus",
    "EventLevel",
    "EventType",
    "FilePurpose",
    "FileStatus",
    "FileUpload",
    "FileUploadPart",
    "JobStatus",
    "Tally",
    "TallyStatus",
    "TuneCheckpoint",
    "TuneCheckpointFile",
    "TuneEvent",
    "TuneJob",
    "TuneJobQuerySet",
    "TuneMethod",
    "TunePoint",
    "TuneSample",
    "Wanted",
    "unfinished_with",
]
