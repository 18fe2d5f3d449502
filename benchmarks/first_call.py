"""First call of four small transformers: fresh processes, empty caches, backends taking turns.

Seconds to the answer, and the most memory each process ever had resident; what compilers run in
processes of their own, as Inductor does, comes on top of that.

Where the clock starts is in `gint.measuring.first_call`. "Inductor prewarmed" has compiled another
function before, in the same process.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks import goals
from benchmarks.report import Report, Table, divide, ratio, seconds, whole
from benchmarks.settings import SUBJECT, Settings
from gint.measuring.backends import title_of
from gint.measuring.clock import Samples, geomean, median, medians
from gint.measuring.first_call import measure
from gint.measuring.models import MODELS
from gint.measuring.progress import progress

MIB = 1 << 20


@dataclass(frozen=True)
class Contender:
    """A backend, its number of processes, and whether each compiles something else before."""

    backend: str
    rounds: int
    prewarm: bool = False

    @property
    def name(self) -> str:
        """The name in tables and JSON."""
        return f"{self.backend} prewarmed" if self.prewarm else self.backend


def contenders_of(settings: Settings) -> list[Contender]:
    """Return who runs how often; a quick run leaves the prewarmed Inductor out."""
    rounds = {"eager": 1, "aot_eager": 2, SUBJECT: 2, "inductor": 1}
    if not settings.quick:
        rounds = {"eager": 1, "aot_eager": 4, SUBJECT: 4, "inductor": 3}
    found = [Contender(b, rounds[b]) for b in settings.usable()]
    if "inductor" in settings.usable() and not settings.quick:
        found.append(Contender("inductor", 2, prewarm=True))
    return found


def run(settings: Settings) -> Report:
    """Measure and report every model."""
    contenders = contenders_of(settings)
    samples: dict[str, Samples] = {m.name: {c.name: [] for c in contenders} for m in MODELS}
    peaks: dict[str, Samples] = {m.name: {c.name: [] for c in contenders} for m in MODELS}
    failures: list[str] = []
    turns = [(m, c, r) for r in range(4) for m in MODELS for c in contenders if r < c.rounds]
    with progress("first call", len(turns)) as step:
        for model, contender, _ in turns:
            step(f"{model.short}: {title_of(contender.name)}")
            got = measure(
                model.name, contender.backend, threads=settings.threads, prewarm=contender.prewarm
            )
            if got.failure is None:
                samples[model.name][contender.name].append(got.first_s)
                peaks[model.name][contender.name].append(got.peak_bytes / MIB)
            else:
                failures.append(f"{model.short}, {contender.name}: {got.failure}")
    return report_of(samples, peaks, failures)


def report_of(
    samples: dict[str, Samples], peaks: dict[str, Samples], failures: list[str]
) -> Report:
    """Make tables, ratios and verdicts from seconds, and MiB, per model and contender."""
    median_s = {m: medians(row) for m, row in samples.items()}
    median_mib = {m: medians(row) for m, row in peaks.items()}
    names = list(next(iter(samples.values())))
    shorts = {m.name: m.short for m in MODELS}
    rows = [[shorts[m], *(seconds(row[c]) for c in names)] for m, row in median_s.items()]
    derived = {m: ratios_of(row) for m, row in median_s.items()}
    keys = list(next(iter(derived.values())))
    means = {key: _geomean(derived[m][key] for m in derived) for key in keys}
    ratio_rows = [[shorts[m], *(_figure(row[k]) for k in keys)] for m, row in derived.items()]
    ratio_rows.append(["geomean", *(_figure(means[k]) for k in keys)])
    tables = (
        Table("first call, seconds (median of fresh processes)", ["", *map(title_of, names)], rows),
        Table("first call, ratios", ["", *keys], ratio_rows),
        Table(
            "peak resident memory, MiB (median of the same processes)",
            ["", *map(title_of, names)],
            [[shorts[m], *(whole(row[c]) for c in names)] for m, row in median_mib.items()],
        ),
    )
    verdicts = (
        goals.FIRST_CALL.verdict(means["gint / aot_eager"]),
        goals.FIRST_CALL_INDUCTOR.verdict(means["Inductor / gint"]),
        goals.OWN_SHARE.verdict(
            median([v for row in derived.values() if not math.isnan(v := row["own share"])])
        ),
    )
    data = {
        "samples_s": samples,
        "medians_s": median_s,
        "ratios": derived,
        "geomeans": means,
        "peaks_mib": peaks,
        "median_peaks_mib": median_mib,
    }
    return Report("first_call", tables, data, (*verdicts, *failures))


def ratios_of(median_s: dict[str, float]) -> dict[str, float]:
    """Return one model's ratios; "own share" is gint's time beyond aot_eager's, over Inductor's."""
    eager, gint = (median_s.get(name, math.nan) for name in ("aot_eager", SUBJECT))
    cold, warm = (median_s.get(name, math.nan) for name in ("inductor", "inductor prewarmed"))
    return {
        "gint / aot_eager": divide(gint, eager),
        "Inductor / gint": divide(cold, gint),
        "Inductor prewarmed / gint": divide(warm, gint),
        "own share": divide(gint - eager, cold - eager),
    }


def _geomean(values) -> float:
    """Geometric mean; NaN where a value is missing or, as an own share may be, not positive."""
    values = list(values)
    return geomean(values) if all(v > 0 for v in values) else math.nan


def _figure(value: float) -> str:
    return ratio(value) if math.isnan(value) or abs(value) >= 0.1 else f"{value:.4f}"
