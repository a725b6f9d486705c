"""What a person enters beside a scenario: commitments, owned GPUs, prepayments, credits, launches.

GPU-hours of a route ──first──▶ owned, then reserved ──rest──▶ rented at the day's price
a seller's API bill  ──first──▶ prepaid balance      ──rest──▶ billed
what is not used of any of them is a row of its own
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal

from costlab import store
from costlab.catalog.rental import capital_recovery_factor
from costlab.core import BadData, InvalidArgument, micro_usd
from costlab.finance.charges import NANO
from costlab.finance.money import USD, Currency, part_of, share_out
from costlab.unitcost import Deployment

HOURS_PER_DAY = 24


def month_of(day: date, months: int = 0) -> date:
    """Return the first day of the month ``months`` after that of ``day``.

    >>> month_of(date(2026, 11, 22), 2)
    datetime.date(2027, 1, 1)
    """
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """GPUs of a route that are paid for whether used or not, from ``starts`` for ``months``.

    The rate is ``usd_per_gpu_hour``, or ``discount`` off the route's price of the first day;
    ``upfront`` is the share paid at the start, the rest falls due as the hours pass. Where the
    term is broken on ``breaks_on``, ``break_fee_usd`` is due and what was prepaid is lost.
    """

    name: str
    route: str
    gpus: int
    starts: date
    months: int
    usd_per_gpu_hour: Decimal | None = None
    discount: Decimal | None = None
    upfront: Decimal = Decimal(0)
    breaks_on: date | None = None
    break_fee_usd: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        problems = []
        if self.gpus < 1 or self.months < 1:
            problems.append("gpus and months must be at least 1")
        if (self.usd_per_gpu_hour is None) == (self.discount is None):
            problems.append("give either usd_per_gpu_hour or a discount")
        if self.usd_per_gpu_hour is not None and not self.usd_per_gpu_hour > 0:
            problems.append("usd_per_gpu_hour must be greater than 0")
        if self.discount is not None and not 0 < self.discount < 1:
            problems.append("discount must be between 0 and 1")
        if not 0 <= self.upfront <= 1:
            problems.append("upfront must be a share from 0 to 1")
        if self.breaks_on and not self.starts < self.breaks_on < self.ends:
            problems.append(f"breaks_on must lie between {self.starts} and {self.ends}")
        if self.break_fee_usd < 0 or (self.break_fee_usd and not self.breaks_on):
            problems.append("a break fee is 0 or more and needs breaks_on")
        if problems:
            raise BadData(f"reservation {self.name}", problems)

    @property
    def ends(self) -> date:
        """The day after the agreed term."""
        month = month_of(self.starts, self.months)
        following = (month_of(month, 1) - month).days
        return month + timedelta(days=min(self.starts.day, following) - 1)

    @property
    def stops(self) -> date:
        """The day on which it no longer holds: broken or run out."""
        return self.breaks_on or self.ends

    def nano_hours(self, starts: date, ends: date) -> int:
        """Return the GPU-hours paid for in a period, in billionths."""
        days = (min(ends, self.stops) - max(starts, self.starts)).days
        return max(days, 0) * HOURS_PER_DAY * self.gpus * NANO

    def amounts(self, rate: Decimal) -> tuple[int, int]:
        """Return micro-dollars of the whole term and, of those, what is paid at the start."""
        hours = (self.ends - self.starts).days * HOURS_PER_DAY * self.gpus
        whole = micro_usd(hours * rate)
        return whole, micro_usd(Decimal(whole).scaleb(-6) * self.upfront)

    def accrued(self, amount: int, day: date) -> int:
        """Return how much of ``amount`` has fallen to the days of the term before ``day``."""
        length = (self.ends - self.starts).days
        return part_of(amount, min(max((day - self.starts).days, 0), length), length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """GPUs that were bought: cash on one day, spread over ``years`` of months.

    A year costs capex · CRF (`costlab.catalog.rental`), each month a twelfth of it to the
    micro-dollar; the month of ``starts`` counts whole. Running costs are W · PUE · USD/kWh / 1000
    + hosting + staff, an hour and GPU, around the clock; ``watts_per_gpu`` is the mean draw.
    ``availability`` is the share of hours in which a GPU can work.
    """

    name: str
    route: str
    gpus: int
    usd_per_gpu: Decimal
    starts: date
    years: int
    rate: float = 0.0
    residual_share: float = 0.0
    availability: Decimal = Decimal(1)
    watts_per_gpu: Decimal = Decimal(0)
    pue: Decimal = Decimal(1)
    usd_per_kwh: Decimal = Decimal(0)
    hosting_usd_per_gpu_hour: Decimal = Decimal(0)
    staff_usd_per_gpu_hour: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        problems = []
        if self.gpus < 1 or self.years < 1:
            problems.append("gpus and years must be at least 1")
        if not self.usd_per_gpu > 0:
            problems.append("usd_per_gpu must be greater than 0")
        if not (self.rate >= 0 and 0 <= self.residual_share < 1):
            problems.append("rate must not be negative, residual_share must be in [0, 1)")
        if not 0 < self.availability <= 1:
            problems.append("availability must be in (0, 1]")
        if self.pue < 1:
            problems.append("pue must be at least 1")
        if (
            min(
                self.watts_per_gpu,
                self.usd_per_kwh,
                self.hosting_usd_per_gpu_hour,
                self.staff_usd_per_gpu_hour,
            )
            < 0
        ):
            problems.append("running costs must not be negative")
        if problems:
            raise BadData(f"owned {self.name}", problems)

    @property
    def stops(self) -> date:
        """The day after the last month it is spread over."""
        return month_of(self.starts, 12 * self.years)

    @property
    def year_micro(self) -> int:
        """What a year of it costs in the amortised view."""
        kept = self.residual_share / (1 + self.rate) ** self.years
        share = (1 - kept) * capital_recovery_factor(self.rate, self.years)
        return micro_usd(self.usd_per_gpu * self.gpus * Decimal(str(share)))

    @property
    def usd_per_running_hour(self) -> Decimal:
        """Power, hosting and staff of one GPU for an hour."""
        power = self.watts_per_gpu * self.pue * self.usd_per_kwh / 1000
        return power + self.hosting_usd_per_gpu_hour + self.staff_usd_per_gpu_hour

    def month_micro(self, month: date) -> int:
        """Return the amortisation of a month; twelve of them are a year, exactly."""
        k = (month.year - self.starts.year) * 12 + month.month - self.starts.month
        return share_out(self.year_micro, [1] * 12)[k % 12] if 0 <= k < 12 * self.years else 0

    def nano_hours(self, starts: date, ends: date) -> int:
        """Return the GPU-hours that can be worked in a period, in billionths."""
        days = max((min(ends, self.stops) - max(starts, self.starts)).days, 0)
        return int(days * HOURS_PER_DAY * self.gpus * NANO * self.availability)


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """A prepaid balance or credit pack: ``usd`` buys ``face_usd`` of a seller's bill for ``days``.

    What is left then lapses. With ``renews``, whole packs are bought again whenever one runs out
    or lapses, so that the seller's bill is always covered.
    """

    name: str
    seller: str
    usd: Decimal
    face_usd: Decimal
    starts: date
    days: int
    renews: bool = False

    def __post_init__(self) -> None:
        if not (self.usd > 0 and self.face_usd > 0 and self.days >= 1):
            raise InvalidArgument(f"balance {self.name}: usd, face_usd and days must be above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """A credit that a seller grants: it takes up to ``usd`` off the bill between two days."""

    name: str
    usd: Decimal
    starts: date
    ends: date
    seller: str = ""

    def __post_init__(self) -> None:
        if not (self.usd > 0 and self.starts < self.ends):
            raise InvalidArgument(f"credit {self.name}: usd above 0, and ends after starts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A model that goes on sale: what if ``route`` cost ``usd_per_second`` from ``day``?

    It takes the segments named, those on the routes of ``replaces`` (whole, where only a part is),
    or, where neither is given, every segment that an accepted clip is cheaper for on it. A
    ``deployment`` instead of a price joins the scenario's own from that day; rules that name a
    route of ``replaces`` then name it.
    """

    day: date
    route: str = ""
    usd_per_second: Decimal | None = None
    deployment: Deployment | None = None
    segments: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.usd_per_second is None) == (self.deployment is None):
            raise InvalidArgument("a launch has either usd_per_second or a deployment")
        if self.usd_per_second is not None and not (self.route and self.usd_per_second > 0):
            raise InvalidArgument("a launch names its route and a price above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A correction of an earlier invoice: ``usd`` more, or less where it is negative."""

    name: str
    day: date
    usd: Decimal
    seller: str = ""
    invoice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Everything entered for a run of months, each part optional.

    ``contingency`` is a share of the month's charges, set aside on top; ``tax`` a share of the
    charges and the contingency. ``active_users`` are those of the first month; they follow the
    clips wanted. ``usd_per_accepted_clip`` is what a clip is sold for. ``retired`` says what
    becomes of clips whose model is no longer sold: refused, or moved to the successor that its
    source names.
    """

    reserved: tuple[Reserved, ...] = ()
    owned: tuple[Owned, ...] = ()
    balances: tuple[Balance, ...] = ()
    credits: tuple[Credit, ...] = ()
    launches: tuple[Launch, ...] = ()
    corrections: tuple[Correction, ...] = ()
    contingency: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)
    tax_name: str = "Tax"
    active_users: float | None = None
    usd_per_accepted_clip: Decimal | None = None
    retired: Literal["refused", "successor"] = "refused"
    currency: Currency = field(default=USD)
    fiscal_year_starts: int = 1

    def __post_init__(self) -> None:
        problems = []
        if self.contingency < 0 or self.tax < 0:
            problems.append("contingency and tax are shares of 0 or more")
        if self.active_users is not None and not self.active_users > 0:
            problems.append("active_users must be greater than 0")
        if self.usd_per_accepted_clip is not None and self.usd_per_accepted_clip < 0:
            problems.append("usd_per_accepted_clip must not be negative")
        if not 1 <= self.fiscal_year_starts <= 12:
            problems.append("fiscal_year_starts is a month from 1 to 12")
        names = [one.name for one in self.supplies] + [one.name for one in self.balances]
        problems += [
            f"the name {name!r} is used twice" for name in {*names} if names.count(name) > 1
        ]
        if problems:
            raise BadData("terms", problems)

    @property
    def supplies(self) -> tuple[Owned | Reserved, ...]:
        """What GPU-hours are taken from, in this order, before any are rented."""
        return (*self.owned, *self.reserved)


def read_terms(path: Path) -> Terms:
    """Return the terms of a YAML file, fields as in `Terms`; raises `BadData` naming each fault."""
    return store.parse(store.read_mapping(path), Terms, path.name)[0]
