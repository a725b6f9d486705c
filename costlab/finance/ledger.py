"""Epochs and terms become charges: what is owned, reserved or prepaid is used first.

rent of a pool   GPU-hours ─▶ owned ─▶ reserved ─▶ rented     each split among its segments
API line         clips     ─▶ prepaid balance   ─▶ billed
term itself      bought (cash), used and unused (amortised), fee where it is broken
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction

from costlab import catalog
from costlab.core import InvalidArgument, micro_usd
from costlab.finance.charges import (
    CLIPS,
    DOLLARS,
    GPU_HOURS,
    NANO,
    RUNNING_HOURS,
    Category,
    Charge,
    Item,
    flat,
    nano,
    priced,
)
from costlab.finance.epochs import DAY, Epoch, Moved
from costlab.finance.money import part_of, share_out
from costlab.finance.terms import (
    HOURS_PER_DAY,
    Balance,
    Owned,
    Reserved,
    Terms,
    month_of,
)
from costlab.projection import PoolResult, SegmentResult
from costlab.scenarios import Scenario
from costlab.unitcost import Deployment

RESERVED, PREPAID, OWNED = "Reserved GPUs", "Prepaid Balance", "Owned GPUs"
WHOLE = 1_000_000


def charges(epochs: Sequence[Epoch], terms: Terms, scenario: Scenario) -> list[Charge]:
    """Return every charge of the epochs, in order; credits, contingency and tax close a month.

    Raises `InvalidArgument` where a term names a route that the scenario does not deploy.
    """
    return list(_Ledger(terms, scenario).write(epochs))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Supply:
    """GPU-hours of an epoch that are already paid for, and what they cost in it."""

    term: Owned | Reserved
    nano_hours: int
    effective_micro: int


@dataclass(slots=True)
class _Pack:
    """A balance that was bought: what is left of its face and of its price."""

    balance: Balance
    lapses: date
    face_micro: int
    paid_micro: int
    left_micro: int
    spent_micro: int = 0

    def draw(self, micro: int) -> tuple[int, int]:
        """Take up to ``micro`` of the face; return it with the part of the price it costs."""
        taken = min(micro, self.left_micro)
        self.left_micro -= taken
        accrued = part_of(self.paid_micro, self.face_micro - self.left_micro, self.face_micro)
        cost, self.spent_micro = accrued - self.spent_micro, accrued
        return taken, cost


class _Ledger:
    """The state that runs through the months: what is left of balances and credits."""

    def __init__(self, terms: Terms, scenario: Scenario) -> None:
        self.terms = terms
        self.scenario = scenario.id
        launched = [one.deployment for one in terms.launches if one.deployment]
        self.deployed = {one.route: one for one in (*scenario.deployments, *launched)}
        for term in terms.supplies:
            if term.route not in self.deployed:
                raise InvalidArgument(
                    f"{term.name} is for {term.route}, which the scenario does not deploy; "
                    f"it deploys {', '.join(sorted(self.deployed)) or 'nothing'}"
                )
        for balance in terms.balances:
            catalog.adapter(balance.seller)
            if balance.starts < month_of(scenario.date):
                raise InvalidArgument(
                    f"{balance.name} was bought on {balance.starts}, before the first month: "
                    "enter what is left of it as bought on the first day"
                )
        self.packs: list[_Pack] = []
        self.credit_left = {one.name: micro_usd(one.usd) for one in terms.credits}
        self.quotes: dict[tuple[object, ...], catalog.Quote] = {}

    def write(self, epochs: Sequence[Epoch]) -> Iterator[Charge]:
        month: list[Charge] = []
        for number, epoch in enumerate(epochs):
            month += self._epoch(epoch)
            last = number + 1 == len(epochs)
            if last or month_of(epochs[number + 1].starts) != month_of(epoch.starts):
                yield from month
                yield from self._close(month, month_of(epoch.starts))
                month = []

    # ── One epoch ─────────────────────────────────────────────────────────────────────────────

    def _epoch(self, epoch: Epoch) -> Iterator[Charge]:
        supplies = self._supplies(epoch)
        api: list[Charge] = []
        pools: dict[str, PoolResult] = {}
        if epoch.projection:
            api += [
                self._api(epoch, result)
                for result in epoch.projection.segments
                if result.unit and result.unit.kind == "api" and result.usd_per_month
            ]
            pools = {pool.route: pool for pool in epoch.projection.pools}
        api += [self._launched(epoch, moved) for moved in epoch.moved]
        yield from self._prepaid(epoch, api)
        for route, pool in pools.items():
            results = [
                result
                for result in (epoch.projection.segments if epoch.projection else ())
                if result.route == route and result.usd_per_month
            ]
            yield from self._pool(epoch, pool, results, supplies.pop(route, []))
        for unneeded in supplies.values():
            for supply in unneeded:
                yield from self._supplied(epoch, supply, 0, Fraction(0), None, [])
        yield from self._bought(epoch)
        for correction in self.terms.corrections:
            if epoch.starts <= correction.day < epoch.ends:
                said = f", corrects {correction.invoice}" if correction.invoice else ""
                item = Item(
                    label=correction.name + said,
                    kind="other",
                    seller=correction.seller or "unknown",
                    provider=correction.seller,
                    category="Adjustment",
                    frequency="One-Time",
                    scenario=self.scenario,
                    basis="entered",
                    corrects=True,
                )
                yield flat(item, correction.day, correction.day + DAY, micro_usd(correction.usd))

    def _api(self, epoch: Epoch, result: SegmentResult) -> Charge:
        assert result.unit
        assert result.usd_per_month
        quote = self._quote(result, epoch.priced_on)
        unit_usd = Decimal(result.unit.usd.value)
        month = Fraction(Decimal(result.usd_per_month.value))
        quantity = nano(month * epoch.share / Fraction(unit_usd)) if unit_usd else 0
        item = Item(
            label=f"{result.route}: {result.segment.name}",
            kind="api",
            seller=catalog.adapter(quote.provider).name,
            provider=quote.provider,
            sku=quote.sku,
            unit=CLIPS,
            list_usd=Decimal(quote.list_micro_usd).scaleb(-6),
            usd=unit_usd,
            route=result.route or "",
            model=result.model or "",
            segment=result.of,
            tenant=result.segment.tenant,
            scenario=self.scenario,
            basis=result.usd_per_month.basis.value,
            region=quote.head.region,
            proof=result.usd_per_month,
        )
        return priced(
            item,
            epoch.starts,
            epoch.ends,
            quantity,
            clips_micro=round(Fraction(result.attempts) * epoch.share * WHOLE),
            busy_micro_s=round(Fraction(quantity, 1000) * Fraction(quote.billed_seconds)),
        )

    def _quote(self, result: SegmentResult, day: date) -> catalog.Quote:
        request = result.segment.request()
        key = (result.route, request, day)
        if key not in self.quotes:
            self.quotes[key] = catalog.quote(str(result.route), request, as_of=day)
        return self.quotes[key]

    def _launched(self, epoch: Epoch, moved: Moved) -> Charge:
        item = Item(
            label=f"{moved.launch.route}: {moved.segment.name}",
            kind="api",
            seller="what-if",
            provider="what-if",
            sku=f"what-if/{moved.launch.route}",
            unit=CLIPS,
            list_usd=moved.usd_per_attempt,
            usd=moved.usd_per_attempt,
            route=moved.launch.route,
            model=moved.launch.route,
            segment=moved.segment.name,
            tenant=moved.segment.tenant,
            scenario=self.scenario,
            basis="entered",
            proof=moved.figure,
        )
        quantity = nano(Fraction(moved.billed) * epoch.share)
        return priced(
            item,
            epoch.starts,
            epoch.ends,
            quantity,
            clips_micro=round(Fraction(moved.attempts) * epoch.share * WHOLE),
            busy_micro_s=round(Fraction(quantity, 1000) * Fraction(moved.segment.seconds)),
        )

    # ── GPUs ──────────────────────────────────────────────────────────────────────────────────

    def _pool(
        self,
        epoch: Epoch,
        pool: PoolResult,
        results: Sequence[SegmentResult],
        supplies: Sequence[_Supply],
    ) -> Iterator[Charge]:
        hours = int(pool.gpus.value) * HOURS_PER_DAY * epoch.days * NANO
        left = hours
        for supply in supplies:
            used = min(left, supply.nano_hours)
            left -= used
            yield from self._supplied(epoch, supply, used, Fraction(used, hours), pool, results)
        if left:
            rented = self._gpu_item(epoch, pool.deployment)
            line = micro_usd(Decimal(left).scaleb(-9) * (rented.usd or 0))
            yield from _by_segment(epoch, rented, Fraction(left, hours), left, line, line, results)

    def _gpu_item(self, epoch: Epoch, deployment: Deployment) -> Item:
        offer = catalog.offer(deployment.offer, as_of=epoch.priced_on)
        contract = deployment.usd_per_gpu_hour
        return Item(
            label=f"{deployment.route}: GPU-hours",
            kind="owned" if offer.purchase == "owned" else "gpu",
            seller=offer.provider,
            provider=offer.provider,
            sku=offer.id,
            unit=GPU_HOURS,
            list_usd=offer.usd_per_gpu_hour,
            usd=offer.usd_per_gpu_hour if contract is None else contract,
            route=deployment.route,
            model=deployment.model_id,
            scenario=self.scenario,
            region=offer.region,
            spot=offer.purchase == "spot",
            programs=tuple(sorted({row.term for row in catalog.commitments(offer.provider)})),
        )

    def _supplies(self, epoch: Epoch) -> dict[str, list[_Supply]]:
        found: dict[str, list[_Supply]] = {}
        for term in self.terms.supplies:
            if term.starts < epoch.ends and epoch.starts < term.stops:
                supply = _Supply(
                    term=term,
                    nano_hours=term.nano_hours(epoch.starts, epoch.ends),
                    effective_micro=self._accrued(term, epoch.starts, epoch.ends),
                )
                found.setdefault(term.route, []).append(supply)
        return found

    def _accrued(self, term: Owned | Reserved, starts: date, ends: date) -> int:
        """Return what a term costs, amortised, in days of one month."""
        if isinstance(term, Reserved):
            whole, _ = term.amounts(self._rate(term))
            return term.accrued(whole, ends) - term.accrued(whole, starts)
        month = month_of(starts)
        first = max(month, term.starts)
        length = (month_of(month, 1) - first).days
        amount = term.month_micro(month)
        return part_of(amount, (ends - first).days, length) - part_of(
            amount, max((starts - first).days, 0), length
        )

    def _rate(self, reserved: Reserved) -> Decimal:
        if reserved.usd_per_gpu_hour is not None:
            return reserved.usd_per_gpu_hour
        deployment = self.deployed[reserved.route]
        base = deployment.usd_per_gpu_hour
        if base is None:
            base = catalog.offer(deployment.offer, as_of=reserved.starts).usd_per_gpu_hour
        return base * (1 - (reserved.discount or 0))

    def _supplied(
        self,
        epoch: Epoch,
        supply: _Supply,
        used: int,
        part: Fraction,
        pool: PoolResult | None,
        results: Sequence[SegmentResult],
    ) -> Iterator[Charge]:
        """Yield the used part of a supply by segment, and the unused part as a row of its own."""
        idle = supply.nano_hours - used
        used_micro, idle_micro = share_out(supply.effective_micro, [used, idle or not used])
        item = self._term_item(supply.term)
        if used and pool:
            covered = replace(item, label=f"{pool.route} on {supply.term.name}", status="Used")
            if isinstance(supply.term, Reserved):
                rented = self._gpu_item(epoch, pool.deployment)
                covered = replace(
                    rented,
                    label=covered.label,
                    term=item.term,
                    term_kind=item.term_kind,
                    term_type=item.term_type,
                    status="Used",
                )
            yield from _by_segment(epoch, covered, part, used, 0, used_micro, results)
        if idle or idle_micro:
            yield priced(
                replace(item, label=f"{supply.term.name}, not used", status="Unused"),
                max(epoch.starts, supply.term.starts),
                min(epoch.ends, supply.term.stops),
                idle,
                billed_micro=0,
                effective_micro=idle_micro,
                committed_nano=idle if item.term_kind else None,
            )

    def _term_item(self, term: Owned | Reserved) -> Item:
        if isinstance(term, Owned):
            hours = (term.stops - term.starts).days * HOURS_PER_DAY * term.gpus
            per_hour = (Decimal(term.year_micro * term.years).scaleb(-6) / hours).quantize(
                Decimal("1e-9")
            )
            return Item(
                label=term.name,
                kind="owned",
                seller="owned",
                provider="owned",
                sku=f"owned/{term.name}",
                unit=GPU_HOURS,
                list_usd=per_hour,
                usd=per_hour,
                route=term.route,
                model=term.route.split("@")[0],
                scenario=self.scenario,
                basis="entered",
                term=term.name,
                term_type=OWNED,
            )
        rate = self._rate(term)
        return Item(
            label=term.name,
            kind="gpu",
            seller=self.deployed[term.route].offer.split("/")[0],
            provider=self.deployed[term.route].offer.split("/")[0],
            sku=f"reserved/{term.name}",
            unit=GPU_HOURS,
            list_usd=rate,
            usd=rate,
            route=term.route,
            model=term.route.split("@")[0],
            scenario=self.scenario,
            basis="entered",
            term=term.name,
            term_kind="Usage",
            term_type=RESERVED,
        )

    def _bought(self, epoch: Epoch) -> Iterator[Charge]:
        """Yield what is paid for the terms themselves in an epoch."""
        for owned in self.terms.owned:
            item = self._term_item(owned)
            if epoch.starts <= owned.starts < epoch.ends:
                yield priced(
                    replace(
                        item,
                        label=f"{owned.name}: {owned.gpus} GPUs bought",
                        category="Purchase",
                        frequency="One-Time",
                        unit="GPUs",
                        sku=f"owned/{owned.name}/bought",
                        list_usd=owned.usd_per_gpu,
                        usd=owned.usd_per_gpu,
                    ),
                    owned.starts,
                    owned.starts + DAY,
                    owned.gpus * NANO,
                    effective_micro=0,
                )
            days = (min(epoch.ends, owned.stops) - max(epoch.starts, owned.starts)).days
            if days > 0 and owned.usd_per_running_hour:
                yield priced(
                    replace(
                        item,
                        label=f"{owned.name}: power, hosting, staff",
                        sku=f"owned/{owned.name}/running",
                        unit=RUNNING_HOURS,
                        list_usd=owned.usd_per_running_hour,
                        usd=owned.usd_per_running_hour,
                        term="",
                        term_type="",
                    ),
                    max(epoch.starts, owned.starts),
                    min(epoch.ends, owned.stops),
                    days * HOURS_PER_DAY * owned.gpus * NANO,
                )
        for reserved in self.terms.reserved:
            if reserved.starts < epoch.ends and epoch.starts <= reserved.stops:
                yield from self._reservation(reserved, epoch)

    def _reservation(self, reserved: Reserved, epoch: Epoch) -> Iterator[Charge]:
        rate = self._rate(reserved)
        whole, upfront = reserved.amounts(rate)
        item = replace(self._term_item(reserved), category="Purchase")
        hours = (reserved.ends - reserved.starts).days * HOURS_PER_DAY * reserved.gpus * NANO
        if upfront and epoch.starts <= reserved.starts < epoch.ends:
            price = rate * reserved.upfront
            yield priced(
                replace(
                    item,
                    label=f"{reserved.name}, paid at the start",
                    frequency="One-Time",
                    sku=f"{item.sku}/upfront",
                    list_usd=price,
                    usd=price,
                ),
                reserved.starts,
                reserved.starts + DAY,
                hours,
                billed_micro=upfront,
                effective_micro=0,
                committed_nano=hours,
            )
        until = min(epoch.ends, reserved.stops)
        due = reserved.accrued(whole - upfront, until)
        due -= reserved.accrued(whole - upfront, epoch.starts)
        in_term = reserved.nano_hours(epoch.starts, epoch.ends)
        if due and in_term:
            price = rate * (1 - reserved.upfront)
            yield priced(
                replace(
                    item, label=reserved.name, frequency="Recurring", list_usd=price, usd=price
                ),
                max(epoch.starts, reserved.starts),
                until,
                in_term,
                billed_micro=due,
                effective_micro=0,
                committed_nano=in_term,
            )
        if reserved.breaks_on == epoch.starts:
            yield from self._broken(reserved, whole, upfront)

    def _broken(self, reserved: Reserved, whole: int, upfront: int) -> Iterator[Charge]:
        """Yield what breaking a term costs: the prepayment that was not used up, and the fee."""
        day = reserved.stops
        item = self._term_item(reserved)
        paid = upfront + reserved.accrued(whole - upfront, day)
        lost = paid - reserved.accrued(whole, day)
        if lost:
            yield priced(
                replace(item, label=f"{reserved.name}, prepaid and lost", status="Unused"),
                day,
                day + DAY,
                0,
                billed_micro=0,
                effective_micro=lost,
                committed_nano=0,
            )
        if reserved.break_fee_usd:
            yield flat(
                replace(
                    item,
                    label=f"{reserved.name}, fee for breaking it",
                    category="Adjustment",
                    frequency="One-Time",
                    term="",
                    term_kind="",
                    term_type="",
                    sku="",
                    unit="",
                    list_usd=None,
                    usd=None,
                ),
                day,
                day + DAY,
                micro_usd(reserved.break_fee_usd),
            )

    # ── Prepaid balances ──────────────────────────────────────────────────────────────────────

    def _prepaid(self, epoch: Epoch, lines: Sequence[Charge]) -> Iterator[Charge]:
        for balance in self.terms.balances:
            yield from self._lapse(balance, epoch.starts)
            if epoch.starts == balance.starts:
                yield self._buy(balance, epoch.starts, 1)
        for line in lines:
            rest: Charge | None = line
            for balance in self.terms.balances:
                if rest and balance.seller == line.item.provider and balance.starts <= epoch.starts:
                    left = sum(pack.left_micro for pack in self._usable(balance, epoch))
                    if balance.renews and rest.billed_micro > left:
                        missing = Decimal(rest.billed_micro - left).scaleb(-6)
                        packs = int((missing / balance.face_usd).to_integral_value(ROUND_CEILING))
                        yield self._buy(balance, epoch.starts, packs)
                    for pack in self._usable(balance, epoch):
                        if rest and rest.billed_micro and pack.left_micro:
                            covered, rest = _covered(rest, pack)
                            yield covered
            if rest:
                yield rest

    def _usable(self, balance: Balance, epoch: Epoch) -> list[_Pack]:
        """Return the packs of a balance that do not lapse within the epoch, oldest first."""
        return [
            pack for pack in self.packs if pack.balance is balance and pack.lapses >= epoch.ends
        ]

    def _balance_item(self, balance: Balance) -> Item:
        price = (balance.usd / balance.face_usd).quantize(Decimal("1e-9"))
        return Item(
            label=balance.name,
            kind="api",
            seller=catalog.adapter(balance.seller).name,
            provider=balance.seller,
            sku=f"prepaid/{balance.name}",
            unit=DOLLARS,
            list_usd=price,
            usd=price,
            scenario=self.scenario,
            basis="entered",
            term=balance.name,
            term_kind="Spend",
            term_type=PREPAID,
        )

    def _buy(self, balance: Balance, day: date, packs: int) -> Charge:
        paid, face = micro_usd(balance.usd), micro_usd(balance.face_usd)
        self.packs += [
            _Pack(balance, day + timedelta(days=balance.days), face, paid, face)
            for _ in range(packs)
        ]
        return priced(
            replace(
                self._balance_item(balance),
                label=f"{balance.name}: {packs} bought",
                category="Purchase",
                frequency="One-Time",
                unit="Packs",
                sku=f"prepaid/{balance.name}/pack",
                list_usd=balance.usd,
                usd=balance.usd,
            ),
            day,
            day + DAY,
            packs * NANO,
            effective_micro=0,
            committed_nano=packs * face * 1000,
        )

    def _lapse(self, balance: Balance, day: date) -> Iterator[Charge]:
        for pack in [one for one in self.packs if one.balance is balance and one.lapses <= day]:
            self.packs.remove(pack)
            left = pack.left_micro
            if left:
                _, cost = pack.draw(left)
                yield priced(
                    replace(
                        self._balance_item(balance),
                        label=f"{balance.name}, lapsed unused",
                        status="Unused",
                    ),
                    day,
                    day + DAY,
                    left * 1000,
                    billed_micro=0,
                    effective_micro=cost,
                    committed_nano=left * 1000,
                )

    # ── Closing a month ───────────────────────────────────────────────────────────────────────

    def _close(self, month: Sequence[Charge], first: date) -> Iterator[Charge]:
        last = month_of(first, 1)
        closing: list[Charge] = []
        for credit in self.terms.credits:
            base = sum(
                charge.billed_micro
                for charge in month
                if credit.starts <= charge.starts < credit.ends
                and credit.seller in ("", charge.item.provider)
                and charge.item.category in ("Usage", "Purchase")
            )
            taken = min(max(base, 0), self.credit_left[credit.name])
            if taken:
                self.credit_left[credit.name] -= taken
                item = self._closing_item(credit.name, "Credit", credit.seller)
                closing.append(
                    flat(item, max(first, credit.starts), min(last, credit.ends), -taken)
                )
        if self.terms.contingency:
            item = self._closing_item("Contingency", "Adjustment", "reserve")
            closing.append(_share_of([*month, *closing], self.terms.contingency, item, first, last))
        if self.terms.tax:
            item = self._closing_item(self.terms.tax_name, "Tax", "tax authority")
            closing.append(_share_of([*month, *closing], self.terms.tax, item, first, last))
        yield from closing

    def _closing_item(self, label: str, category: Category, seller: str) -> Item:
        return Item(
            label=label,
            kind="other",
            seller=seller or "all sellers",
            provider=seller,
            category=category,
            frequency="Recurring",
            scenario=self.scenario,
            basis="entered",
        )


def _by_segment(
    epoch: Epoch,
    item: Item,
    part: Fraction,
    quantity: int,
    billed: int,
    effective: int,
    results: Sequence[SegmentResult],
) -> Iterator[Charge]:
    """Yield ``part`` of a pool's hours as its segments' charges, which add up to it."""
    weights = [_micro(result) for result in results]
    share = epoch.share * part
    for result, hours, cash, used in zip(
        results,
        share_out(quantity, weights),
        share_out(billed, weights),
        share_out(effective, weights),
        strict=True,
    ):
        assert result.unit
        assert result.unit.slot_s
        assert result.usd_per_month
        seconds = Fraction(float(result.unit.slot_s.value)) * result.unit.gpus
        yield priced(
            replace(
                item,
                label=f"{item.label}, {result.segment.name}",
                segment=result.of,
                tenant=result.segment.tenant,
                basis=result.usd_per_month.basis.value,
                proof=result.usd_per_month,
            ),
            epoch.starts,
            epoch.ends,
            hours,
            billed_micro=cash,
            effective_micro=used,
            committed_nano=hours if item.term_kind else None,
            clips_micro=round(Fraction(result.attempts) * share * WHOLE),
            busy_micro_s=round(Fraction(result.attempts) * seconds * share * WHOLE),
        )


def _covered(line: Charge, pack: _Pack) -> tuple[Charge, Charge | None]:
    """Return the part of a line that a pack pays for, and the rest of it."""
    taken, cost = pack.draw(line.billed_micro)
    whole = line.billed_micro
    parts = [taken, whole - taken]
    quantity = share_out(line.quantity_nano or 0, parts)
    clips, busy = share_out(line.clips_micro, parts), share_out(line.busy_micro_s, parts)
    item = replace(
        line.item,
        label=f"{line.item.label} on {pack.balance.name}",
        term=pack.balance.name,
        term_kind="Spend",
        term_type=PREPAID,
        status="Used",
    )
    covered = priced(
        item,
        line.starts,
        line.ends,
        quantity[0],
        billed_micro=0,
        effective_micro=cost,
        committed_nano=taken * 1000,
        clips_micro=clips[0],
        busy_micro_s=busy[0],
    )
    if taken == whole:
        return covered, None
    rest = priced(
        line.item,
        line.starts,
        line.ends,
        quantity[1],
        billed_micro=whole - taken,
        clips_micro=clips[1],
        busy_micro_s=busy[1],
    )
    return covered, rest


def _share_of(
    charges: Sequence[Charge], share: Decimal, item: Item, first: date, last: date
) -> Charge:
    def part(amounts: Iterator[int]) -> int:
        return micro_usd(Decimal(sum(amounts)).scaleb(-6) * share)

    return Charge(
        item=item,
        starts=first,
        ends=last,
        billed_micro=part(one.billed_micro for one in charges),
        effective_micro=part(one.effective_micro for one in charges),
        contracted_micro=part(one.contracted_micro for one in charges),
        list_micro=part(one.list_micro for one in charges),
    )


def _micro(result: SegmentResult) -> int:
    return micro_usd(Decimal(result.usd_per_month.value)) if result.usd_per_month else 0
