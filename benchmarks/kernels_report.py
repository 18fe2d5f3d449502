"""Tables and verdicts of the kernels: ratios, geomeans, bandwidth, and the cost of a small call."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import goals
from benchmarks.kernel_list import SIZES
from benchmarks.report import Report, Table, divide, micros, ratio
from benchmarks.settings import SUBJECT
from gint.measuring.backends import title_of
from gint.measuring.clock import Samples, geomean, median

NUMEXPR = "numexpr"
REGIMES = {
    "dropped": "result dropped",
    "held": "last 4 results held",
    "into": "into preallocated outputs",
}
BIG = ("medium", "large")


@dataclass
class Case:
    """One kernel at one size: compulsory bytes, samples per regime and contender, and bandwidth."""

    kernel: str
    size: str
    bytes: int
    samples_s: dict[str, Samples] = field(default_factory=dict)
    bandwidth: dict[str, float] = field(default_factory=dict)

    def median_s(self, regime: str, contender: str) -> float:
        """Return the median seconds per call, NaN where it was not measured."""
        return median(self.samples_s.get(regime, {}).get(contender, ()))

    def over_gint(self, regime: str, contender: str = "inductor") -> float:
        """Return a contender's time over gint's."""
        return divide(self.median_s(regime, contender), self.median_s(regime, SUBJECT))

    def of_copy(self, regime: str) -> float:
        """Return gint's compulsory bytes per second over the copy bandwidth measured beside it."""
        rate = divide(self.bytes, self.median_s(regime, SUBJECT))
        return divide(rate, self.bandwidth.get("copy", math.nan))


def report_of(cases: Sequence[Case]) -> Report:
    """Make a table per size and regime, the geomeans, and the verdicts."""
    tables = [_table(cases, size, regime) for size in SIZES for regime in REGIMES]
    means = means_of(cases)
    if any(not math.isnan(value) for row in means.values() for value in row.values()):
        tables.append(_means_table(means))
    data: dict[str, Any] = {
        "cases": [
            {
                "kernel": c.kernel,
                "size": c.size,
                "shape": SIZES[c.size],
                "bytes": c.bytes,
                "bandwidth": c.bandwidth,
                "samples_s": c.samples_s,
                "medians_s": {r: {n: c.median_s(r, n) for n in s} for r, s in c.samples_s.items()},
            }
            for c in cases
        ],
        "geomeans": means,
    }
    return Report("kernels", tuple(tables), data, (*_verdicts(cases, means), _drift(cases)))


def means_of(cases: Sequence[Case]) -> dict[str, dict[str, float]]:
    """Return, per regime, the others' times over gint's: the two big sizes, and the small one."""
    found: dict[str, dict[str, float]] = {}
    for regime in REGIMES:
        row = {}
        for contender in ("inductor", "eager", NUMEXPR):
            for name, sizes in (("big", BIG), ("small", ("small",))):
                ratios = (c.over_gint(regime, contender) for c in cases if c.size in sizes)
                row[f"{title_of(contender)} / gint, {name}"] = geomean(_measured(ratios))
        found[regime] = row
    return found


def _table(cases: Sequence[Case], size: str, regime: str) -> Table:
    chosen = [c for c in cases if c.size == size]
    names = list(dict.fromkeys(n for c in chosen for n in c.samples_s.get(regime, {})))
    names.sort(key=lambda name: name == NUMEXPR)
    large = size == "large"  # its times are told in milliseconds
    headers = ["", *map(title_of, names), "Ind. / gint", "of copy" if large else "gint - Ind."]
    rows = []
    for case in chosen:
        last = ratio(case.of_copy(regime)) if large else micros(_beyond_s(case, regime))
        times = (micros(case.median_s(regime, n) / (1000 if large else 1)) for n in names)
        rows.append([case.kernel, *times, ratio(case.over_gint(regime)), last])
    rows_, cols = SIZES[size]
    unit = "milliseconds" if large else "microseconds"
    return Table(f"{rows_}x{cols}, {REGIMES[regime]}, {unit} (median)", headers, rows)


def _means_table(means: dict[str, dict[str, float]]) -> Table:
    keys = list(next(iter(means.values())))
    rows = [[k, *(ratio(row[k]) for row in means.values())] for k in keys]
    title = "geomeans: 256x1024 and 4096x4096 together (big), 32x32 (small)"
    return Table(title, ["", *REGIMES.values()], rows)


def _verdicts(cases: Sequence[Case], means: dict[str, dict[str, float]]) -> list[str]:
    big = [c for c in cases if c.size in BIG]
    worst = min(_measured(c.over_gint(r) for c in big for r in REGIMES), default=math.nan)
    beyond = [_beyond_s(c, r) * 1e6 for c in cases if c.size == "small" for r in REGIMES]
    rates = _measured(c.of_copy("into") for c in cases if c.size == "large")
    return [
        *(goals.KERNELS[r].verdict(means[r]["Inductor / gint, big"]) for r in REGIMES),
        goals.KERNELS_WORST.verdict(worst),
        goals.SMALL_KERNELS.verdict(max(_measured(beyond), default=math.nan)),
        goals.BANDWIDTH.verdict(geomean(rates)),
    ]


def _drift(cases: Sequence[Case]) -> str:
    """Say how the copy bandwidth moved during the run."""
    rates = [c.bandwidth["copy"] / 1e9 for c in cases if c.bandwidth]
    reads = [c.bandwidth["read"] / 1e9 for c in cases if c.bandwidth]
    if not rates:
        return "bandwidth: not measured"
    return (
        f"copy bandwidth {min(rates):.1f} to {max(rates):.1f} GB/s (median "
        f"{median(rates):.1f}), read {median(reads):.1f} GB/s"
    )


def _beyond_s(case: Case, regime: str) -> float:
    return case.median_s(regime, SUBJECT) - case.median_s(regime, "inductor")


def _measured(values: Iterable[float]) -> list[float]:
    return [v for v in values if not math.isnan(v)]
