"""A statement as a download."""

from __future__ import annotations

from functools import partial

from django.http import HttpResponse, StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _

from store.accounts.models import Organization
from store.errors import NotFound
from store.ledger.models import Transfer
from store.payouts.statements.files import as_csv, as_parquet
from store.payouts.statements.pdf import as_pdf
from store.payouts.statements.period import Period, months_since, parse_period
from store.payouts.statements.rows import wallet_id_of
from store.payouts.statements.streaming import streamed

TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet", "pdf": "application/pdf"}


def statement_response(
    organization: Organization, period_name: str, extension: str
) -> HttpResponse | StreamingHttpResponse:
    """Rows are sent while they are read. Raises NotFound, InvalidRequest."""
    if extension not in TYPES:
        raise NotFound(_("A statement is a csv, parquet or pdf file."))
    period = parse_period(period_name)
    name = f"statement-{organization.slug}-{period.name}.{extension}"
    headers = {"Content-Disposition": content_disposition_header(True, name) or "attachment"}
    if extension == "pdf":
        return HttpResponse(as_pdf(organization, period), content_type=TYPES[extension], headers=headers)
    make = as_csv if extension == "csv" else as_parquet
    body = streamed(partial(make, organization, period))
    return StreamingHttpResponse(body, content_type=TYPES[extension], headers=headers)


def months_of(organization: Organization) -> list[Period]:
    """Every month since the organization first earned, the newest first."""
    first = Transfer.objects.filter(credit_id=wallet_id_of(organization)).order_by("id").first()
    return months_since(first.created_at) if first else []
