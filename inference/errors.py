"""What can go wrong in ``inference``, each failure a class with a stable ``code``. Standard library only."""

from __future__ import annotations

from typing import ClassVar


class InferenceError(Exception):
    """The root of every error that this package raises on purpose."""

    code: ClassVar[str] = "inference_error"


class InvalidRequest(InferenceError):
    """A request that cannot be served as it is. ``param`` names the field at fault."""

    code = "invalid_request"

    def __init__(self, message: str, *, param: str) -> None:
        super().__init__(message)
        self.param = param


class EngineStopped(InferenceError):
    """The thread that steps the engine has ended: nothing more is served by it."""

    code = "engine_stopped"


class UnsupportedModel(InferenceError):
    """A folder that holds no model of a known family, or not all of its weights."""

    code = "unsupported_model"


class PromptError(InferenceError):
    """Messages or text that cannot be turned into tokens. ``param`` names the field at fault."""

    code = "invalid_prompt"

    def __init__(self, message: str, *, param: str) -> None:
        super().__init__(message)
        self.param = param


class PullFailed(InferenceError):
    """The files of a release could not be fetched: the store is away, or refuses."""

    code = "pull_failed"


class SendFailed(InferenceError):
    """A file could not be given to the store: it is away, or refuses."""

    code = "send_failed"


class DigestMismatch(InferenceError):
    """What was fetched is not the release that was asked for. The files have been deleted."""

    code = "digest_mismatch"


class NoRoom(InferenceError):
    """The device has not enough memory, even after every idle engine was unloaded."""

    code = "no_room"


class ConversionFailed(InferenceError):
    """A file that cannot be turned into safetensors. The message is a sentence and says what to do."""

    code = "conversion_failed"
