"""Three people share a hard budget: it is used up, told of, raised, and calls go on. A real browser, the official client, a GPU worker."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import openai
import pytest
from playwright.sync_api import Page, expect

from store.accounts.actions import sign_up
from store.accounts.members import create_organization
from store.accounts.models import Membership, Role, User
from store.billing.actions import top_up_test
from store.keys.actions import issue_key
from store.webhooks.actions import create_endpoint
from tests.servers import Servers
from tests.stack import Shop, Stack
from tests.store.webhooks.receiver import Receiver, answer
from tests.stories.browsing import ANSWER_MS, PHONE, SHOP_PASSWORD, check, prepare, sign_in
from tests.waiting import await_that

pytestmark = [pytest.mark.story, pytest.mark.browser]

DOLLAR = 10**9
MOST_CALLS = 200  # long before that the budget is used up


@pytest.fixture(autouse=True)
def db(stack: Stack) -> None:
    """In the place of pytest-django's: the rows of a running store are committed, so no transaction goes round a test."""


@dataclass
class Team:
    """Its members' secrets, and what its webhook has received."""

    receiver: Receiver
    secrets: dict[str, str] = field(default_factory=dict)

    def events(self) -> list[dict[str, object]]:
        return [json.loads(each.body) for each in self.receiver.received]


@pytest.fixture(scope="module")
def team(stack: Stack, shop: Shop) -> Iterator[Team]:
    """``consumer`` owns ``troupe``, to which ann and bob belong; each of the three has a key, and the troupe a webhook."""
    owner = User.objects.get(email="consumer@example.com")
    troupe = create_organization(user=owner, slug="troupe")
    top_up_test(organization=troupe, user=owner, amount_nano=10 * DOLLAR)
    people = [owner]
    for name in ("ann", "bob"):
        people.append(sign_up(email=f"{name}@example.com", password=SHOP_PASSWORD, name=name.title(), is_verified=True))
        Membership.objects.create(organization=troupe, user=people[-1], role=Role.DEVELOPER)
    made = Team(Receiver([answer(204)]))
    for user in people:
        issued = issue_key(organization=troupe, user=user, name=user.get_short_name(), listings=[shop.listing])
        made.secrets[user.email] = issued.secret
    create_endpoint(organization=troupe, user=owner, url=made.receiver.url)
    yield made
    made.receiver.close()


@pytest.fixture(scope="module")
def site(stack: Stack, shop: Shop, team: Team) -> str:
    """A store with a worker of each kind."""
    prepare(stack)
    stack.start_web()
    stack.start_gpu()
    stack.start_cpu()
    return stack.url.replace("127.0.0.1", "localhost")


def ask(stack: Stack, secret: str, model: str) -> None:
    with stack.client(secret) as client:
        client.completions.create(model=model, prompt="Shall I compare thee", max_tokens=8)


def spend(stack: Stack, team: Team, model: str) -> tuple[int, openai.APIStatusError]:
    """The three take turns until one is refused: how many calls were served, and what the refusal says."""
    for served, secret in enumerate(itertools.islice(itertools.cycle(team.secrets.values()), MOST_CALLS)):
        try:
            ask(stack, secret, model)
        except openai.APIStatusError as refused:
            return served, refused
    raise AssertionError(f"{MOST_CALLS} calls were served")


def mails_to(folder: Path, email: str) -> str:
    texts = [mail.read_text() for mail in folder.glob("*.log")]
    return "\n".join(text for text in texts if f"To: {email}" in text)


def test_a_team_hits_its_budget_is_told_and_goes_on(
    page: Page, stack: Stack, servers: Servers, team: Team, model: str
) -> None:
    sign_in(page)
    page.goto("/settings")
    page.get_by_role("listitem").filter(has_text="troupe").get_by_role("button", name="Act for it").click()
    page.goto("/settings")
    page.get_by_role("link", name="Budgets").click()
    page.get_by_role("link", name="Set a budget").click()
    page.get_by_label("Amount").fill("0.0001")
    page.get_by_role("button", name="Set the budget").click()
    expect(page.get_by_role("row", name=re.compile("The whole organization"))).to_contain_text("per month")

    served, refused = spend(stack, team, model)
    assert served >= 3
    assert (refused.status_code, refused.code) == (402, "budget_exceeded")
    assert "The organization's budget, $0.0001 per month, does not cover this request" in refused.message
    for secret in team.secrets.values():  # whoever asks
        with pytest.raises(openai.APIStatusError) as again:
            ask(stack, secret, model)
        assert again.value.code == "budget_exceeded"

    def told() -> bool:
        return {"budget.exhausted", "budget.threshold_reached"} <= {str(event["type"]) for event in team.events()}

    await_that(told, "the webhook is told")
    subject = "The budget of troupe refuses calls now"
    await_that(lambda: subject in mails_to(servers.data_dir / "mail", "consumer@example.com"), "the owner has a mail")
    assert mails_to(servers.data_dir / "mail", "ann@example.com").count(subject) == 0

    page.reload()
    expect(page.get_by_role("row", name=re.compile("The whole organization"))).to_contain_text("Refuses calls")
    page.get_by_role("link", name="The whole organization").click()
    expect(page.get_by_text("Raise the amount to let them through.")).to_be_visible()
    address = page.url
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    check(page, ["/settings/budgets", address, "/settings/budgets/new"])
    page.goto(address)
    page.get_by_label("Amount").fill("1")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The next call goes by it.")).to_be_visible(timeout=ANSWER_MS)
    for secret in team.secrets.values():
        ask(stack, secret, model)
