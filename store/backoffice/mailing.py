"""Staff are told by mail of what an audit found, once for each finding."""

from __future__ import annotations

import logging
from smtplib import SMTPException
from typing import Final

from django.conf import settings
from django.contrib.auth.models import Permission
from django.core.mail import EmailMessage
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils import timezone

from store.accounts.models import User
from store.backoffice.models import AuditFinding

LISTED: Final = 20  # findings that a mail names

logger = logging.getLogger(__name__)


def mail_findings() -> int:
    """Tells those who may see the books of findings of which they were not told; returns of how many. What cannot be sent stays due."""
    new = AuditFinding.objects.filter(resolved_at=None, mailed_at=None).order_by("pk")
    ids = list(new.values_list("pk", flat=True))
    people = [user.email for user in readers() if user.email]
    if not ids or not people:
        return 0
    context = {
        "count": len(ids), "findings": new[:LISTED], "more": max(0, len(ids) - LISTED),
        "url": f"{settings.PUBLIC_URL}/admin/backoffice/auditfinding/?resolved_at__isempty=1",
    }  # fmt: skip
    subject, _newline, body = render_to_string("mail/audit_findings.txt", context).partition("\n")
    mail = EmailMessage(subject.strip(), body.strip() + "\n", settings.DEFAULT_FROM_EMAIL, bcc=people)
    try:
        mail.send()
    except (OSError, SMTPException) as error:
        logger.warning("the mail about %d findings is sent again later: %s", len(ids), error)
        return 0
    return AuditFinding.objects.filter(pk__in=ids).update(mailed_at=timezone.now())


def readers() -> list[User]:
    """Those who run the store and may see the books."""
    of = {"codename": "view_books", "content_type__app_label": "backoffice"}
    permission = Permission.objects.filter(**of)
    allowed = Q(is_superuser=True) | Q(user_permissions__in=permission) | Q(groups__permissions__in=permission)
    return list(User.objects.filter(allowed, is_staff=True, is_active=True).distinct())
