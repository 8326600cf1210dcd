"""What can be done to what is for sale. One module a noun; these are its verbs."""

from store.catalog.actions.access import ask_access, grant_access, refuse_access, revoke_access
from store.catalog.actions.cards import edit_card, publish_card
from store.catalog.actions.commissions import CommissionSpec, set_commission, withdraw_commission
from store.catalog.actions.errors import NotAProvider, NotInThisState, ReleaseRejected
from store.catalog.actions.imports import cancel_import, start_import
from store.catalog.actions.listings import deprecate_listing, edit_listing, republish_listing, withdraw_listing
from store.catalog.actions.measuring import measure_release
from store.catalog.actions.prices import PriceSpec, cancel_scheduled_price, set_price
from store.catalog.actions.publishing import PublishProgress, publish_folder
from store.catalog.actions.review import approve_submission, decline_submission
from store.catalog.actions.submissions import cancel_submission, publish_submission, submit_commit, take_measurement

__all__ = [
    "CommissionSpec",
    "NotAProvider",
    "NotInThisState",
    "PriceSpec",
    "PublishProgress",
    "ReleaseRejected",
    "approve_submission",
    "ask_access",
    "cancel_import",
    "cancel_scheduled_price",
    "cancel_submission",
    "decline_submission",
    "deprecate_listing",
    "edit_card",
    "edit_listing",
    "grant_access",
    "measure_release",
    "publish_card",
    "publish_folder",
    "publish_submission",
    "refuse_access",
    "republish_listing",
    "revoke_access",
    "set_commission",
    "set_price",
    "start_import",
    "submit_commit",
    "take_measurement",
    "withdraw_commission",
    "withdraw_listing",
]
