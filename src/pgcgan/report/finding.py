"""One part of the verdict, and how rows are put into words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..metrics import Evaluation, Row, figure

ONE = {"haplotypes": "haplotype", "people": "person"}  # of what is compared


@dataclass(frozen=True)
class Finding:
    """One part of the verdict."""

    heading: str
    standing: str | None  # "good", "fair" or "poor", if it is a judgement
    text: str
    items: tuple[tuple[str, str], ...] = ()  # a statement, and the rows that support it


def unit_of(evaluation: Evaluation) -> str:
    """Return what an evaluation compares: haplotypes, or people where they are unphased."""
    return "haplotypes" if evaluation.provenance.get("phased", True) else "people"


def percent(share: float) -> str:
    """Return a share in percent, with two significant digits or more, without an exponent where that is short."""
    number = 100 * share
    if number == 0 or number >= 9.95:
        return f"{number:.0f} %" if number == round(number) or number >= 99.95 else f"{number:.1f} %"
    return f"{number:.1f} %" if number >= 0.995 else f"{number:.2g} %"


def other_deviations(rows: Iterable[Row], mentioned: tuple[str, ...]) -> list[str]:
    """Return a sentence that names the poor rows not mentioned elsewhere."""
    poor = [f"{r.metric} {with_floor(r)}" for r in rows if r.standing == "poor" and not r.metric.startswith(mentioned)]
    return [f"Other deviations: {'; '.join(poor)}."] if poor else []


def worst(standings: Iterable[str | None]) -> str | None:
    """Return the worst of some standings."""
    present = set(standings)
    return next((s for s in ("poor", "fair", "good") if s in present), None)


def with_floor(row: Row) -> str:
    """Return the value of a row with that of real people."""
    return figure(row.value) + ("" if row.floor is None else f" (real people: {figure(row.floor)})")


def with_interval(row: Row) -> str:
    """Return the value of a row with its interval."""
    span = "" if row.low is None or row.high is None else f" [{figure(row.low)}, {figure(row.high)}]"
    return figure(row.value) + span
