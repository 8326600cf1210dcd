"""What is allowed in a release, what its digest is, and what is wrong with a folder that wants to be one.

Standard library only, and no weight is loaded: the store imports it. Opening a provider's file is still work for a child process
that can be killed.

The digest of a release is ``"sha256:"`` and the hex SHA-256 of a text: the line ``gpt-store release 1``, then for each file, sorted by
the bytes of its path, the line ``<sha256 hex> <size in bytes> <path>``; UTF-8, each line ended by a newline.
"""

from __future__ import annotations

from inference.manifest.adapter import DIGEST, Adapter, check_adapter
from inference.manifest.entries import (
    SNIFF_BYTES,
    FileEntry,
    Problem,
    hash_file,
    release_digest,
    release_document,
)
from inference.manifest.folder import ManifestReport, inspect_folder
from inference.manifest.paths import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    ALLOWED,
    HELD_OUT,
    IGNORED,
    INDEX,
    MAX_FILES,
    MAX_PATH_CHARS,
    MAX_TEXT_BYTES,
    check_path,
    check_paths,
    check_size,
    check_start,
    is_image,
)
from inference.manifest.remedies import CONVERT, CONVERT_GGUF, SAVE_TOKENIZER

__all__ = [
    "ADAPTER_CONFIG", "ADAPTER_WEIGHTS", "ALLOWED", "CONVERT", "CONVERT_GGUF", "DIGEST", "HELD_OUT", "IGNORED", "INDEX", "MAX_FILES",
    "MAX_PATH_CHARS", "MAX_TEXT_BYTES", "SAVE_TOKENIZER", "SNIFF_BYTES", "Adapter", "FileEntry", "ManifestReport", "Problem", "check_adapter",
    "check_path", "check_paths", "check_size", "check_start", "hash_file", "inspect_folder", "is_image", "release_digest",
    "release_document",
]  # fmt: skip
