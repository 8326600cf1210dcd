"""What can be wrong with a review or a favourite."""

from __future__ import annotations

from store.errors import Conflict, InvalidRequest, PermissionDenied


class NotACustomer(PermissionDenied):
    """Only customers write reviews: an organization of theirs, not the provider's, has paid for a call."""

    code = "not_a_customer"
    default_message = "You can review a model once an organization of yours has paid for a call of it."


class InvalidReview(InvalidRequest):
    """The stars or the text are not what a review has."""

    code = "invalid_review"
    default_message = "A review has 1 to 5 stars and at most 4000 characters."


class MayNotReply(PermissionDenied):
    """Only those who publish for the provider speak for it."""

    code = "may_not_reply"
    default_message = "Only the provider's owners, admins and developers can reply to a review."


class NotAModerator(PermissionDenied):
    """Hiding and showing reviews is a moderator's."""

    code = "review_needs_moderator"
    default_message = "Only a moderator can do this to a review."


class ReviewHidden(Conflict):
    """A moderator has hidden the review: it can be deleted, and not edited or answered."""

    code = "review_hidden"
    default_message = "This review was hidden by a moderator."
