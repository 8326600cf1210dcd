"""Trainings as their pages show them: what one would cost, how one goes, and two beside each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from django.db.models import BooleanField, ExpressionWrapper, F, OuterRef, Q, QuerySet, Subquery, Sum

from inference.architectures import ENCODERS
from store.accounts.models import Organization
from store.catalog.models import Listing, Price
from store.console.context import credit_of
from store.console.forms.tuning import LABELS, TuneForm
from store.console.shelf import on_sale
from store.errors import StoreError
from store.ledger.pricing import training_charge
from store.tuning.actions.quoting import Quote, quote_job
from store.tuning.models import JobStatus, TuneCheckpoint, TuneJob, TuneSample
from store.tuning.wishes import check_base

PER_PAGE = 25
MOST_BASES = 200  # that are proposed; any other can be named
MOST_POINTS = 600  # of a curve: more than a screen has pixels for
MOST_COMPARED = 4
RECENT = 5  # trainings by which the time of another is estimated
NUMBERS = ("loss", "loss_low", "loss_high", "val_loss", "learning_rate", "grad_norm", "tokens_per_s")


@dataclass(frozen=True, slots=True)
class JobPage:
    """``older`` is the id before which the next page begins, None on the last."""

    jobs: list[TuneJob]
    older: int | None


@dataclass(frozen=True, slots=True)
class Answers:
    """One prompt: what the base said to it, and what the model says now. ``between``: (step, answer) of the evaluations before."""

    prompt: str
    base: str | None
    now: str | None
    step: int
    between: list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class HyperRow:
    """A hyperparameter, and its value in each of several jobs."""

    name: str
    label: str
    values: list[Any]
    differs: bool


def job_page(organization: Organization, *, status: str, base: str, words: str, before: int | None) -> JobPage:
    """The organization's jobs, newest first. ``words`` are looked for in names and files."""
    found = TuneJob.objects.filter(organization=organization).full().matching(status=status, base=base).order_by("-pk")
    if words:
        found = found.filter(
            Q(suffix__icontains=words)
            | Q(training_file__filename__icontains=words)
            | Q(public_id=words)  # whole: in letters by chance there is a part of anything
            | Q(model_name=words)
        )
    if before:
        found = found.filter(pk__lt=before)
    rows = list(found[: PER_PAGE + 1])
    return JobPage(rows[:PER_PAGE], rows[PER_PAGE - 1].pk if len(rows) > PER_PAGE else None)


def bases_of(organization: Organization) -> list[str]:
    """The bases of the organization's jobs, by name."""
    jobs = TuneJob.objects.filter(organization=organization, base__isnull=False)
    names = jobs.values_list("base__listing__organization__slug", "base__listing__slug").distinct()
    return sorted("/".join(each) for each in names)


def tunable(user: Any, organization: Organization) -> list[str]:
    """Names to propose: what the terms let this organization train."""
    price = Price.objects.current().filter(listing=OuterRef("pk"))
    models = on_sale(user).annotate(is_allowed=Subquery(price.values("derivatives_allowed")[:1]))
    models = models.filter(Q(organization=organization) | Q(is_allowed=True))
    models = models.exclude(current_release__architecture__in=ENCODERS)
    rows = models.order_by("organization__slug", "slug").values_list("organization__slug", "slug")[:MOST_BASES]
    return ["/".join(each) for each in rows]


def quoted(form: TuneForm) -> dict[str, Any]:
    """What the form would cost, or why it cannot be; for a part of the page."""
    shown: dict[str, Any] = {"form": form, "is_valid": form.is_valid()}
    base = form.cleaned_data.get("base")
    try:
        if isinstance(base, Listing):
            shown |= {"base": base, "terms": check_base(base, form.organization, form.cleaned_data["adaptation"])}
        if form.is_valid():
            shown |= _quote(form)
    except StoreError as error:
        shown["refusal"] = error.message
    return shown


def _quote(form: TuneForm) -> dict[str, Any]:
    quote = quote_job(form.wish())
    left = credit_of(form.organization).available_nano - quote.amount_nano
    computed = {name: value for name, value in _values(quote).items() if value is not None}
    return {
        "quote": quote, "left_nano": left, "is_short": quote.is_counted and left < 0, "missing_nano": max(-left, 0),
        "computed": computed, "takes": estimate(quote),
    }  # fmt: skip


def _values(quote: Quote) -> dict[str, Any]:
    hyper = asdict(quote.hyper) if quote.hyper else {}
    return {**hyper, **(asdict(quote.shape) if quote.shape else {})}


def estimate(quote: Quote) -> timedelta | None:
    """How long it takes, by the last trainings of the same base; None where there were none."""
    done = TuneJob.objects.filter(base=quote.release_id, status=JobStatus.SUCCEEDED, trained_tokens__gt=0)
    recent = done.filter(started_at__isnull=False).order_by("-pk").values("pk")[:RECENT]
    spent = TuneJob.objects.filter(pk__in=list(recent.values_list("pk", flat=True))).aggregate(
        tokens=Sum("trained_tokens"), time=Sum(F("finished_at") - F("started_at"))
    )
    if not spent["tokens"] or not quote.tokens:
        return None
    took: timedelta = spent["time"] * (quote.tokens / spent["tokens"])
    return timedelta(seconds=round(took.total_seconds()))


def cost_nano(job: TuneJob) -> int:
    """What it has cost, or would if it were cancelled now."""
    return training_charge(job.price_nano, job.trained_tokens) if job.is_open else job.charge_nano


def answers_of(job: TuneJob) -> list[Answers]:
    """The base's answers beside the model's."""
    said: dict[int, list[TuneSample]] = {}
    for sample in job.samples.order_by("number", "step"):
        said.setdefault(sample.number, []).append(sample)
    return [_side_by_side(rows) for rows in said.values()]


def _side_by_side(rows: Sequence[TuneSample]) -> Answers:
    base = rows[0].answer if rows[0].step == 0 else None
    later = [(row.step, row.answer) for row in rows if row.step > 0]
    step, now = later[-1] if later else (0, None)
    return Answers(rows[0].prompt, base, now, step, later[-2::-1])


def checkpoints_of(job: TuneJob) -> QuerySet[TuneCheckpoint]:
    """The newest first; ``is_lowest`` is the one whose validation loss is the lowest of all."""
    lowest = job.checkpoints.filter(val_loss__isnull=False).order_by("val_loss", "step").values("pk")[:1]
    is_lowest = ExpressionWrapper(Q(pk=Subquery(lowest)), output_field=BooleanField())
    return job.checkpoints.annotate(is_lowest=is_lowest).select_related("job").order_by("-step")


def curves(jobs: Iterable[TuneJob], *, most: int = MOST_POINTS) -> dict[str, Any]:
    """The curves of jobs, each a list for each of NUMBERS, and whether any of them still grows."""
    jobs = list(jobs)
    return {"curves": [_curve(job, most) for job in jobs], "live": any(job.is_open for job in jobs)}


def _curve(job: TuneJob, most: int) -> dict[str, Any]:
    points = job.points.all().curve(most=most)
    columns = {name: [point[name] for point in points] for name in NUMBERS}
    return {"label": job.suffix or job.public_id, "step": [point["step"] for point in points], **columns}


def compared_jobs(organization: Organization, ids: Iterable[str]) -> list[TuneJob]:
    """The organization's jobs of these ids, in their order."""
    wanted = list(dict.fromkeys(ids))[:MOST_COMPARED]
    found = {
        job.public_id: job for job in TuneJob.objects.filter(organization=organization, public_id__in=wanted).full()
    }
    return [found[each] for each in wanted if each in found]


def hyper_rows(jobs: Sequence[TuneJob]) -> list[HyperRow]:
    """Every hyperparameter that any of the jobs has; those that differ first."""
    settings = [{**job.hyper, **job.shape} for job in jobs]
    names = [name for name in LABELS if any(each.get(name) is not None for each in settings)]
    rows = [_hyper_row(name, [each.get(name) for each in settings]) for name in names]
    return sorted(rows, key=lambda row: not row.differs)


def _hyper_row(name: str, values: list[Any]) -> HyperRow:
    return HyperRow(name, str(LABELS[name]), values, any(value != values[0] for value in values))
