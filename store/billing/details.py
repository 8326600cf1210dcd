"""What an organization tells for its invoices."""

from __future__ import annotations

import re
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils.translation import gettext as _

from store.accounts.models import Organization, User
from store.billing.actions import require_buyer
from store.billing.countries import COUNTRIES
from store.billing.models import BillingDetails
from store.errors import InvalidRequest

FIELDS: Final = (
    "legal_name", "line1", "line2", "postal_code", "city", "region", "country", "tax_id", "email",
)  # fmt: skip
EU: Final = dict.fromkeys(
    [
        "AT",
        "BE",
        "BG",
        "CY",
        "CZ",
        "DE",
        "DK",
        "EE",
        "ES",
        "FI",
        "FR",
        "GR",
        "HR",
        "HU",
        "IE",
        "IT",
        "LT",
        "LU",
        "LV",
        "MT",
        "NL",
        "PL",
        "PT",
        "RO",
        "SE",
        "SI",
        "SK",
    ],
    "eu_vat",
)
# Stripe's kinds of tax ids, and the form of each. https://docs.stripe.com/billing/customer/tax-ids
KINDS: Final = {
    **EU, "AU": "au_abn", "BR": "br_cnpj", "CA": "ca_gst_hst", "CH": "ch_vat", "GB": "gb_vat", "IN": "in_gst", "JP": "jp_trn",
    "NO": "no_vat", "NZ": "nz_gst", "SG": "sg_gst", "US": "us_ein", "ZA": "za_vat",
}  # fmt: skip
FORMS: Final = {
    "eu_vat": r"[A-Z]{2}[A-Z0-9+*]{2,13}",
    "au_abn": r"\d{11}",
    "br_cnpj": r"\d{2}\.?\d{3}\.?\d{3}/?\d{4}-?\d{2}",
    "ca_gst_hst": r"\d{9}RT\d{4}",
    "ch_vat": r"CHE-?\d{3}\.?\d{3}\.?\d{3}(MWST|TVA|IVA)",
    "gb_vat": r"(GB|XI)?(\d{9}|\d{12}|GD\d{3}|HA\d{3})",
    "in_gst": r"\d{2}[A-Z0-9]{13}",
    "jp_trn": r"T\d{13}",
    "no_vat": r"\d{9}MVA",
    "nz_gst": r"\d{8,9}",
    "sg_gst": r"[MF][0-9A-Z]\d{6,8}[A-Z]?|\d{9}[A-Z]|\d{8}[A-Z]",
    "us_ein": r"\d{2}-?\d{7}",
    "za_vat": r"4\d{9}",
}


LONGEST: Final = {name: getattr(BillingDetails._meta.get_field(name), "max_length", 0) for name in FIELDS}


@transaction.atomic
def change_details(*, organization: Organization, user: User, **fields: str) -> BillingDetails:
    """Keeps what stands on papers from now on; those that are issued stay as they are. Fields are those of FIELDS.

    Raises NotFound, PermissionDenied, InvalidRequest naming the field.
    """
    require_buyer(organization, user)
    given = {name: fields.get(name, "").strip() for name in FIELDS}
    given["country"] = given["country"].upper()
    given["tax_id"] = re.sub(r"\s", "", given["tax_id"]).upper()
    _check(given)
    given["tax_id_type"] = KINDS.get(given["country"], "") if given["tax_id"] else ""
    Organization.objects.select_for_update(no_key=True).only("pk").get(pk=organization.pk)
    before = BillingDetails.objects.filter(organization=organization).first()
    row = BillingDetails(organization=organization, version=before.version + 1 if before else 1, **given)
    row.save(force_insert=before is None)
    return row


def _check(given: dict[str, str]) -> None:
    for name, value in given.items():
        if len(value) > LONGEST[name]:
            raise InvalidRequest(_("This is too long."), param=name)
        if any(not char.isprintable() for char in value):
            raise InvalidRequest(_("Write it in one line, in letters that can be printed."), param=name)
    if given["country"] and given["country"] not in COUNTRIES:
        raise InvalidRequest(_("There is no such country."), param="country")
    if given["tax_id"]:
        _check_tax_id(given["country"], given["tax_id"])
    if given["email"]:
        try:
            validate_email(given["email"])
        except ValidationError as error:
            raise InvalidRequest(_("This is no e-mail address."), param="email") from error


def _check_tax_id(country: str, tax_id: str) -> None:
    """Its form alone: whether it is really given to somebody, Stripe finds out."""
    if not country:
        raise InvalidRequest(_("Choose the country of the tax id."), param="country")
    kind = KINDS.get(country)
    if kind is None:
        raise InvalidRequest(_("Tax ids of this country cannot be used here. Leave it empty."), param="tax_id")
    own = {"GR": "EL"}.get(country, country)
    if not re.fullmatch(FORMS[kind], tax_id, re.ASCII) or (kind == "eu_vat" and not tax_id.startswith(own)):
        example = {"eu_vat": f"{own}123456789", "us_ein": "12-3456789"}.get(kind, "")
        said = _("This is not how a tax id of this country is written.")
        raise InvalidRequest(f"{said} {example}".strip(), param="tax_id")


def buyer_of(organization: Organization) -> dict[str, Any]:
    """Who buys, as papers show them: ``name``, ``address`` in lines, ``country``, ``tax_id``."""
    row = BillingDetails.objects.filter(organization=organization).first() or BillingDetails()
    city = " ".join(part for part in (row.postal_code, row.city) if part)
    lines = [row.line1, row.line2, city, row.region, COUNTRIES.get(row.country, "")]
    return {
        "name": row.legal_name or organization.name, "address": [line for line in lines if line], "country": row.country,
        "tax_id": row.tax_id,
    }  # fmt: skip


def details_of(organization: Organization) -> BillingDetails:
    """Its details; an unsaved empty row where there are none, for looking makes no rows."""
    return BillingDetails.objects.filter(organization=organization).first() or BillingDetails(organization=organization)
