"""The playground's call: a visitor's chat with a listing, paid by the organization that they act for."""

from __future__ import annotations

import msgspec
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from store.accounts.actions import ensure_personal_organization
from store.accounts.models import Organization, Role, User
from store.api.errors import NotSignedIn
from store.api.v1.answering import answer
from store.api.v1.calling import Caller, chat_prompt, open_call
from store.api.v1.endpoint import error_response, new_request_id
from store.api.v1.parsing import ChatRequest, InvalidField, parse
from store.api.v1.shapes import ChatShape, Json
from store.catalog.models import Listing
from store.errors import PermissionDenied, StoreError
from store.ledger.actions import wallet_of
from store.ledger.models import WalletKind
from store.runs import gateway as gateways
from store.runs.books import ModelNotFound
from store.runs.database_thread import query
from store.runs.models import Endpoint
from store.runs.offers import Offer, listing_named, offer_of
from store.runs.streams import Ending

SPENDERS = (Role.OWNER, Role.ADMIN, Role.DEVELOPER)
CHOSEN = "organization"  # in the session: the organization that the user acts for, as the console keeps it


class PlaygroundShape(ChatShape):
    """A chat whose last chunk says what it cost and what is left, in nano-dollars."""

    async def receipt(self, ending: Ending) -> Json:
        wallet = await query(wallet_of, self.stream.call.organization_id, WalletKind.CREDIT)
        bill = {"charge_nano": self.stream.charge_nano, "available_nano": wallet.available_nano}
        return {**await super().receipt(ending), "store": bill}


@require_POST
async def chat(request: HttpRequest, organization: str, slug: str) -> HttpResponseBase:
    """Server-sent chunks of OpenAI's chat shape. The body is that of ``/v1/chat/completions`` without ``model`` and ``stream``."""
    try:
        user = await request.auser()
        if not isinstance(user, User):
            raise NotSignedIn
        name = f"{organization}/{slug}"
        body, offer = _parsed(request.body, name), await _visible(user, name)
        payer = await query(_payer, user, await request.session.aget(CHOSEN))
        request_id = new_request_id()
        caller = Caller(organization_id=payer, request_id=request_id, endpoint=Endpoint.PLAYGROUND, user_id=user.pk)
        gateway = gateways.current()
        stream, _rates = await open_call(gateway, body, await chat_prompt(body, offer), offer=offer, caller=caller)
        shape = PlaygroundShape(stream, model=name, include_usage=True)
        return await answer(gateway, stream, shape, include_usage=True, headers={"x-request-id": request_id})
    except StoreError as error:
        return error_response(error)


def _parsed(body: bytes, model: str) -> ChatRequest:
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidField(_("The body is not a JSON object.")) from None
    fields |= {"model": msgspec.Raw(msgspec.json.encode(model)), "stream": msgspec.Raw(b"true")}
    return parse(msgspec.json.encode(fields), ChatRequest)


async def _visible(user: User, name: str) -> Offer:
    listing = await listing_named(name)
    if listing is None or not await query(Listing.objects.visible_to(user).filter(pk=listing.listing_id).exists):
        raise ModelNotFound(param="model")
    return await offer_of(listing)


def _payer(user: User, chosen: int | None) -> int:
    """The id of the organization that pays. Raises PermissionDenied where the user may not spend its money."""
    mine = Organization.objects.visible_to(user)
    organization = mine.filter(pk=chosen or 0).first() or ensure_personal_organization(user)
    if not organization.memberships.filter(user=user, role__in=SPENDERS).exists():
        raise PermissionDenied(_("Your role in this organization may not spend its credit."))
    return organization.pk
