"""What the books must say, by plain arithmetic on exact fractions: no wallet, no database and none of the store's own formulas."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from fractions import Fraction

MILLION = 1_000_000
CENT = 10**7  # nano-dollars
HELD_BACK_DAYS = 7


@dataclass(frozen=True, kw_only=True)
class Tariff:
    """Nano-dollars for a million tokens, and for a request."""

    input_nano: int
    output_nano: int
    request_nano: int

    def charge(self, prompt: int, output: int) -> int:
        """One rounding, up."""
        return math.ceil(Fraction(prompt * self.input_nano + output * self.output_nano, MILLION)) + self.request_nano

    def affordable(self, prompt: int, nano: int) -> int:
        """The most output tokens for an amount; below 0 where not even the prompt is affordable."""
        return math.floor(
            (Fraction(nano - self.request_nano) - Fraction(prompt * self.input_nano, MILLION))
            * MILLION
            / self.output_nano
        )


@dataclass(frozen=True, kw_only=True)
class Model:
    """A listing: who sells it, and what its base (if it has one) is owed, in parts per million."""

    seller: str
    tariff: Tariff
    base: str | None = None
    royalty_ppm: int = 0

    def shares(self, charge: int, *, commission_ppm: int, cap_ppm: int, payer: str) -> Counter[str]:
        """Amounts by wallet."""
        platform = math.floor(Fraction(charge * commission_ppm, MILLION))
        rest = charge - platform
        if self.base is None:
            return Counter({"platform": platform, f"{self.seller} earnings": rest})
        royalty = min(
            math.floor(Fraction(charge * self.royalty_ppm, MILLION)), math.floor(Fraction(rest * cap_ppm, MILLION))
        )
        if payer == self.seller:  # nobody earns from their own calls of a derivative
            royalty = rest
        return Counter(
            {"platform": platform, f"{self.base} earnings": royalty, f"{self.seller} earnings": rest - royalty}
        )


@dataclass
class Month:
    """What a subscription includes and is left: ``any`` tokens, or None where it is by class."""

    any: int | None
    input: int = 0
    output: int = 0

    def cover(self, prompt: int, output: int) -> tuple[int, int]:
        """Tokens in and out, the prompt first."""
        if self.any is None:
            return min(prompt, self.input), min(output, self.output)
        of_prompt = min(prompt, self.any)
        return of_prompt, min(output, self.any - of_prompt)

    def use(self, prompt: int, output: int) -> None:
        """Takes tokens; negative ones come back."""
        if self.any is None:
            self.input, self.output = self.input - prompt, self.output - output
        else:
            self.any -= prompt + output


@dataclass
class OpenCall:
    """A run that is held."""

    payer: str
    model: Model
    prompt: int
    max_tokens: int
    held: int
    commission_ppm: int
    month: Month = field(default_factory=lambda: Month(0))
    of_prompt: int = 0  # tokens that the month covers
    of_output: int = 0


@dataclass
class Paid:
    """A top-up, and how much of it has gone back."""

    payer: str
    nano: int
    earned_before: int  # by all: how many rows of ``Oracle.earned`` are older
    gone: int = 0


@dataclass
class Back:
    """A refund or a dispute: what it took from credit, and from the platform."""

    paid: Paid
    from_credit: int
    from_platform: int

    @property
    def nano(self) -> int:
        return self.from_credit + self.from_platform


@dataclass
class Given:
    """Granted credit, of which this much is left; what ends first is spent first."""

    ends: int
    left: int


@dataclass
class Earned:
    """What a provider had of one who paid, and how much of it nobody has taken back."""

    payer: str
    provider: str
    nano: int
    day: int
    left: int


@dataclass(frozen=True, kw_only=True)
class Fee:
    """Of a payout: a flat part, and a share of what is sent, rounded up."""

    flat: int
    ppm: int

    def most(self, nano: int) -> tuple[int, int]:
        """(sent, fee): the most whole cents that an amount covers with the fee of sending them."""
        for sent in range(nano // CENT * CENT, 0, -CENT):
            fee = self.flat + math.ceil(Fraction(sent * self.ppm, MILLION))
            if sent + fee <= nano:
                return sent, fee
        return 0, 0


@dataclass
class Oracle:
    """The balance of each wallet by its name, what is held of credit by its owner, what is left of their grants, and who earned what when."""

    cap_ppm: int
    day: int = 0
    earned: list[Earned] = field(default_factory=list)
    grants: dict[str, list[Given]] = field(default_factory=lambda: defaultdict(list))
    posted: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)

    def available(self, who: str) -> int:
        return self.posted[f"{who} credit"] - self.held[who]

    def move(self, debit: str, credit: str, nano: int) -> None:
        self.posted[debit] -= nano
        self.posted[credit] += nano

    def settle(self, call: OpenCall, output: int, *, is_paid: bool) -> int:
        """Ends a run; returns its charge."""
        self.held[call.payer] -= call.held
        of_prompt, of_output = (call.of_prompt, min(call.of_output, output)) if is_paid else (0, 0)
        call.month.use(of_prompt - call.of_prompt, of_output - call.of_output)
        charge = call.model.tariff.charge(call.prompt - of_prompt, output - of_output) if is_paid else 0
        shares = call.model.shares(charge, commission_ppm=call.commission_ppm, cap_ppm=self.cap_ppm, payer=call.payer)
        self.pay(call.payer, shares)
        return charge

    def pay(self, payer: str, shares: Counter[str]) -> None:
        left = shares.total()
        for grant in sorted(self.grants[payer], key=lambda grant: grant.ends):
            part = min(grant.left, left)
            grant.left -= part
            left -= part
        for wallet, nano in shares.items():
            self.move(f"{payer} credit", wallet, nano)
            if wallet != "platform" and nano:
                self.earned.append(Earned(payer, wallet.partition(" ")[0], nano, self.day, nano))

    def held_back(self, provider: str) -> int:
        """Earnings that a lost dispute still finds."""
        return sum(one.left for one in self._young(provider))

    def _young(self, provider: str) -> list[Earned]:
        return [one for one in self.earned if one.provider == provider and self.day - one.day < HELD_BACK_DAYS]

    def available_earnings(self, provider: str) -> int:
        """What can be paid out."""
        return self.posted[f"{provider} earnings"] - self.held_back(provider)

    def claw_back(self, back: Back) -> int:
        """What the platform bore of a lost payment is taken from what its payer's calls have earned others since, each in proportion.

        Returns how much was there to be taken.
        """
        earned: Counter[str] = Counter()
        for one in self.earned[back.paid.earned_before :]:
            if one.payer == back.paid.payer:
                earned[one.provider] += one.nano
        total, all_taken = earned.total(), 0
        for provider, nano in earned.items():
            share = nano if total <= back.from_platform else math.floor(Fraction(back.from_platform * nano, total))
            taken = left = min(share, self.held_back(provider))
            for one in reversed(self._young(provider)):
                part = min(one.left, left)
                one.left -= part
                left -= part
            self.move(f"{provider} earnings", "platform", taken)
            all_taken += taken
        return all_taken

    def give(self, who: str, nano: int, *, ends: int) -> Given:
        grant = Given(ends, nano)
        self.grants[who].append(grant)
        self.move("platform", f"{who} credit", nano)
        return grant

    def end(self, who: str, *, now: int) -> int:
        """What is left of grants that have ended goes back, but for what is held; returns how much."""
        available, held, moved = self.available(who), self.held[who], 0
        for grant in sorted(self.grants[who], key=lambda grant: grant.ends):
            if grant.ends <= now:
                kept = min(grant.left, held)
                held -= kept
                part = min(grant.left - kept, available)
                grant.left -= part
                available -= part
                moved += part
        self.move(f"{who} credit", "platform", moved)
        return moved

    def take_back(self, paid: Paid, nano: int, *, to: str) -> Back:
        """Money of a payment goes back: what is left of the credit that was bought first, the rest is the platform's loss."""
        own = self.posted[f"{paid.payer} credit"] - sum(grant.left for grant in self.grants[paid.payer])
        from_credit = max(0, min(nano, self.available(paid.payer), own))
        back = Back(paid, from_credit, nano - from_credit)
        paid.gone += nano
        self.move(f"{paid.payer} credit", to, back.from_credit)
        self.move("platform", to, back.from_platform)
        return back

    def give_back(self, back: Back, *, source: str) -> None:
        back.paid.gone -= back.nano
        self.move(source, f"{back.paid.payer} credit", back.from_credit)
        self.move(source, "platform", back.from_platform)
