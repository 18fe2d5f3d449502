"""The self-contained HTML page of the demo: picture, table, and what gint used; light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import accumulate

from gint.dataclass import frozen
from gint.demo.chart import Series, draw
from gint.demo.table import HEADERS, cells_of, crossings_in_words, lines_of, sentences_of, use_of
from gint.measuring.backends import title_of
from gint.measuring.first_call import Measurement

STYLE = """
:root { color-scheme: light dark; --paper: #fcfcfa; --ink: #1d2025; --soft: #666c76;
  --rule: #e3e4e1; --gint: #c2410c; --eager: #5b6472; --aot_eager: #0f7a8a; --inductor: #4f46b8; }
@media (prefers-color-scheme: dark) { :root { --paper: #14161a; --ink: #e8e9eb; --soft: #9aa1ac;
  --rule: #2b2f36; --gint: #fb923c; --eager: #aab2be; --aot_eager: #4cc3d2; --inductor: #a5a0f5; } }
body { margin: 0 auto; padding: 40px 24px 56px; max-width: 920px; background: var(--paper);
  color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 19px; margin: 44px 0 4px; }
p, ul { margin: 8px 0; } .soft, footer { color: var(--soft); font-size: 14px; }
ul { padding-left: 20px; } li.indent { list-style: none; color: var(--soft); }
.scroll { overflow-x: auto; } svg { display: block; width: 100%; min-width: 620px; margin: 14px 0; }
svg text { fill: var(--soft); font-size: 12.5px; } svg .name { font-size: 13.5px; }
svg .label { font-size: 14.5px; font-weight: 600; }
.grid { stroke: var(--rule); } .axis { stroke: var(--soft); }
.line { fill: none; stroke: var(--c); stroke-width: 2.2; stroke-linejoin: round; }
.line.rest { stroke-dasharray: 6 4; stroke-width: 1.7; }
.dot { fill: var(--c); stroke: var(--paper); stroke-width: 1.5; }
.leader { fill: none; stroke: var(--c); opacity: .55; } svg text.label { fill: var(--c); }
.crossing { fill: var(--paper); stroke: var(--ink); stroke-width: 1.6; }
.gint { --c: var(--gint); } .eager { --c: var(--eager); } .aot_eager { --c: var(--aot_eager); }
.inductor { --c: var(--inductor); } .line.gint { stroke-width: 3; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 7px 10px; border-bottom: 1px solid var(--rule); }
th { white-space: nowrap; font-weight: 500; color: var(--soft); font-size: 14px; }
th:first-child, td:first-child { text-align: left; padding-left: 0; } td b { color: var(--c); }
footer { margin-top: 44px; border-top: 1px solid var(--rule); padding-top: 12px; }
"""
EXPLANATION = (
    "Each line starts at its first call. Solid: measured, call by call. Dashed: continued with the "
    "steady-state time. A ring marks where two lines cross. Both axes are logarithmic."
)

FOOTNOTE = (
    "Every backend ran in a fresh process with empty caches, under no_grad, with random weights. "
    "The clock of the first call starts after <code>import torch, torch._dynamo</code> and one "
    "eager call."
)


@frozen
class Chapter:
    """One workload of the page: its names and what was measured, a measurement a backend."""

    short: str
    title: str
    measurements: tuple[Measurement, ...]

    @property
    def gint(self) -> Measurement | None:
        """Return gint's measurement, if there is one with numbers."""
        ours = (m for m in self.measurements if m.backend == "gint" and m.failure is None)
        return next(ours, None)


def render(chapters: Sequence[Chapter], machine: str) -> str:
    """Return the page as HTML; it refers to nothing outside itself."""
    body = "\n".join(_chapter(chapter) for chapter in chapters)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>gint: what torch.compile costs, call by call</title>
<style>{STYLE}</style></head><body>
<h1>What torch.compile costs, call by call</h1>
<p class="soft">{EXPLANATION}</p>
{body}
<footer>{FOOTNOTE} {escape(machine)}</footer>
</body></html>
"""


def _chapter(chapter: Chapter) -> str:
    series = series_of(chapter.measurements)
    picture = draw(series, f"Cumulative time over calls: {chapter.title}") if series else ""
    crossings = " ".join(crossings_in_words(chapter.measurements))
    return f"""<h2>{escape(chapter.title)}</h2>
<div class="scroll">{picture}</div>
<p>{escape(crossings)}</p>
<div class="scroll">{_table(chapter.measurements)}</div>
{_use(chapter.gint)}"""


def series_of(measurements: Sequence[Measurement]) -> list[Series]:
    """Return the lines of the picture, gint last so that it lies on top."""
    lines = {line.name: line for line in lines_of(measurements)}
    series = [
        Series(m.backend, lines[name], tuple(accumulate((m.first_s, *m.calls_s))))
        for m in measurements
        if (name := title_of(m.backend)) in lines
    ]
    return sorted(series, key=lambda s: s.css == "gint")


def _table(measurements: Sequence[Measurement]) -> str:
    head = "".join(f"<th>{escape(h)}</th>" for h in HEADERS)
    rows = []
    for measurement in measurements:
        name, *cells = (escape(cell) for cell in cells_of(measurement))
        failure = measurement.failure
        tail = f"<td colspan={len(cells)}>{escape(failure)}</td>" if failure else ""
        tail = tail or "".join(f"<td>{cell}</td>" for cell in cells)
        rows.append(f'<tr><td><b class="{measurement.backend}">{name}</b></td>{tail}</tr>')
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _use(gint: Measurement | None) -> str:
    if gint is None:
        return ""
    items = "".join(
        f"<li{' class=indent' if s.startswith(' ') else ''}>{escape(s.strip())}</li>"
        for s in sentences_of(use_of(gint.statistics))
    )
    return f"<p>What gint made of it:</p><ul>{items}</ul>"
