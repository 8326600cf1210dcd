"""Where a worker finds a release; what every message has in common. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

WIRE_VERSION: Final = 1


class WireError(ValueError):
    """A message that cannot be read: of another version, or malformed."""


def check_version(data: dict[str, Any]) -> None:
    """Raises :class:`WireError` on a message of another version."""
    if data.get("version") != WIRE_VERSION:
        raise WireError(f"wire version {data.get('version')!r}, this worker speaks {WIRE_VERSION}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseRef:
    """Where a worker finds a release, and what it must turn out to be. An adapter is served on its ``base``."""

    digest: str  # "sha256:<64 hex>" over the manifest of all files
    repo_id: str  # "acme/bard"
    endpoint: str  # base URL of the store's Hub protocol
    token: str  # opens the files of this release only
    size: int  # bytes of all files
    base: ReleaseRef | None = None  # the release that an adapter changes, full weights; None for full weights

    @property
    def engine_digest(self) -> str:
        """The release whose engine serves this one: an adapter's base, or itself."""
        return self.base.digest if self.base else self.digest

    @property
    def total_size(self) -> int:
        """Bytes of all files, those of the base included."""
        return self.size + (self.base.total_size if self.base else 0)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ReleaseRef:
        """Raises :class:`TypeError` and :class:`AttributeError` on another shape."""
        base = data.get("base")
        return cls(**{**data, "base": cls.from_json(base) if base else None})
