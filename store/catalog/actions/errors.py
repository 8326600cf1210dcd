"""What can be wrong with a wish about the catalog. Each is a sentence for the person, and a stable code for the program."""

from __future__ import annotations

from typing import ClassVar

from inference.manifest import Problem
from store.errors import Conflict, PermissionDenied, StoreError


class ReleaseRejected(StoreError):
    """The files cannot be a release; ``problems`` says why, each with what to do."""

    code: ClassVar[str] = "release_rejected"
    status: ClassVar[int] = 422

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(" ".join(problem.message for problem in problems))
        self.problems = problems


class NotAProvider(PermissionDenied):
    """The organization has not enrolled as a provider."""

    code = "not_a_provider"
    default_message = "This organization is not a provider yet."


class NotInThisState(Conflict):
    """What was asked cannot be done to this object as it stands; the message says what stands in the way."""

    code = "not_in_this_state"
