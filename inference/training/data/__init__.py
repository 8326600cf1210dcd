"""Training data: formats, containers, and what a record is in tokens. No torch and no Django.

What the store counts before a training is what the trainer trains, because both use ``read_records`` and ``encode_record``.
"""

from __future__ import annotations

from inference.training.data.encoding import (
    TRAINING_TEMPLATE,
    Encoded,
    EncodedPair,
    encode,
    encode_pair,
    encode_record,
    encode_records,
    encode_windows,
    end_ids,
    training_encoder,
)
from inference.training.data.reading import find_format, read_records, scan
from inference.training.data.records import BadData, Container, DataFormat, Fault, Record
from inference.training.data.rows import columns_of, container_of

__all__ = [
    "TRAINING_TEMPLATE", "BadData", "Container", "DataFormat", "Encoded", "EncodedPair", "Fault", "Record", "columns_of", "container_of",
    "encode", "encode_pair", "encode_record", "encode_records", "encode_windows", "end_ids", "find_format", "read_records", "scan", "training_encoder",
]  # fmt: skip
