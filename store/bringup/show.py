"""Shows that the store works: a streamed answer with what it used and cost, then where to go on."""

from __future__ import annotations

import time
from collections.abc import Iterator

from django.conf import settings
from rich.markup import escape

from store.accounts.models import User
from store.bringup.demo import Demo
from store.bringup.first_call import PROMPT, CallFailed, NotYet, Piece, stream_chat
from store.bringup.ports import local_address, public_host
from store.bringup.steps import console
from store.console.snippets import snippets
from store.ledger.dollars import dollars
from store.ledger.models import Wallet, WalletKind
from store.runs.models import Run, RunStatus

HEARD_S = 30.0
SETTLED_S = 10.0
POLL_S = 0.05


class ShowFailed(Exception):
    """The first call did not work."""


def show_store(demo: Demo) -> None:
    """Makes the first call and prints it as it comes. Raises ShowFailed."""
    console.print(f"\n[bold]{escape(demo.model)}[/] is asked [bold]{escape(PROMPT)}[/] and answers:\n")
    usage = None
    try:
        for piece in _first_call(demo):
            console.print(piece.text, end="", markup=False, style="cyan")
            usage = piece.usage or usage
    except CallFailed as error:
        raise ShowFailed(f"\nThe first call failed: {error}\nSee {settings.DATA_DIR / 'log'}") from None
    if usage is None:
        raise ShowFailed("The first call did not say what it used.")
    charge, balance = _books(demo.consumer["email"])
    tokens = f"{usage['prompt_tokens']} + {usage['completion_tokens']} tokens"
    console.print(f"\n\n[green]✓[/] {tokens}, charged {dollars(charge)}, {dollars(balance)} of test money left")
    _show_addresses(demo)


def _first_call(demo: Demo) -> Iterator[Piece]:
    """Tries again for a while: a web process may not have heard of the worker yet."""
    deadline = time.monotonic() + HEARD_S
    while True:
        try:
            return (
                yield from stream_chat(
                    local_address(), host=public_host(), api_key=demo.consumer["api_key"], model=demo.model
                )
            )
        except NotYet:
            if time.monotonic() > deadline:
                raise
        time.sleep(POLL_S)


def _books(email: str) -> tuple[int, int]:
    """What the consumer's newest run was charged, and what remains, in nano-dollars. Waits until the run is settled."""
    organization = User.objects.get(email=email).personal_organization
    deadline = time.monotonic() + SETTLED_S
    while True:
        run = Run.objects.newest_first().filter(organization=organization).first()
        if run and run.status != RunStatus.OPEN:
            return run.charge_nano, Wallet.objects.get(organization=organization, kind=WalletKind.CREDIT).available_nano
        if time.monotonic() > deadline:
            raise ShowFailed("The first call was not settled.")
        time.sleep(POLL_S)


def _show_addresses(demo: Demo) -> None:
    rows = [("Store", demo.url, ""), ("Admin", f"{demo.url}/admin/", "")]
    rows += [
        (role.title(), getattr(demo, role)["email"], getattr(demo, role)["password"])
        for role in ("consumer", "provider", "admin")
    ]
    console.print()
    for name, first, second in rows:
        console.print(f"  {name:<10}{first:<32}{second}", markup=False)
    console.print(f"\n[bold]Call it[/] (all of this is in {settings.DATA_DIR.name}/demo.json, too)\n")
    console.print(f"export GPT_STORE_KEY={demo.consumer['api_key']}\n", markup=False)
    for snippet in snippets(demo.model):
        if snippet.id in ("curl", "python"):
            console.print(f"{snippet.code}\n", markup=False)
