"""What the demo says about measurements and about gint's own records."""

from __future__ import annotations

from gint.demo.table import cells_of, crossings_in_words, lines_of, seconds, sentences_of, use_of
from gint.measuring.first_call import Measurement

RECORDS = [
    {
        "programs": 3,
        "instructions": 40,
        "externs": {"aten.mm.default": 2},
        "fallbacks": [["cumsum", "aten.cumsum.default", "no scan sections"]],
    },
    {
        "programs": 1,
        "instructions": 2,
        "fallbacks": [],
        "externs": {"aten.mm.default": 1, "aten.addmm.default": 4},
    },
]


def test_cells_of_a_measurement() -> None:
    got = Measurement("llama", "inductor", 26.5, (9.0, 9.0, 0.05, 0.05), 1.5e-6)
    assert cells_of(got) == ("Inductor", "26.500", "50", "1.5e-06")


def test_cells_of_a_failure_say_why() -> None:
    got = Measurement("llama", "gint", failure="no gint.conductor")
    assert cells_of(got) == ("gint", "-", "-", "no gint.conductor")


def test_no_difference_is_a_plain_zero() -> None:
    assert cells_of(Measurement("llama", "eager", 0.05, (0.05,), 0.0))[3] == "0"


def test_seconds_keep_their_meaning() -> None:
    assert [seconds(v) for v in (12.3456, 0.0042, 0.000005, float("nan"))] == [
        "12.346",
        "0.0042",
        "0.000005",
        "-",
    ]


def test_records_are_summed() -> None:
    use = use_of(RECORDS)
    assert (use.graphs, use.programs, use.instructions) == (2, 4, 42)
    assert use.externs == {"aten.mm.default": 3, "aten.addmm.default": 4}


def test_sentences_list_externs_by_count_and_every_fallback() -> None:
    assert sentences_of(use_of(RECORDS)) == [
        "2 graphs: 4 programs of 42 instructions",
        "7 extern calls: 4 x aten.addmm.default, 3 x aten.mm.default",
        "1 node left to eager:",
        "  1 x aten.cumsum.default (cumsum): no scan sections",
    ]


def test_fallbacks_are_grouped_by_operator_and_reason() -> None:
    nodes = [[f"mean_{i}", "aten.mean.dim", "why"] for i in range(5)]
    nodes.append(["mean_9", "aten.mean.dim", "else"])
    use = use_of([{"programs": 0, "instructions": 0, "externs": {}, "fallbacks": nodes}])
    assert sentences_of(use)[2:] == [
        "6 nodes left to eager:",
        "  5 x aten.mean.dim (mean_0, mean_1, mean_2, ...): why",
        "  1 x aten.mean.dim (mean_9): else",
    ]


def test_sentences_without_externs_or_fallbacks() -> None:
    use = use_of([{"programs": 1, "instructions": 3, "externs": {}, "fallbacks": []}])
    assert sentences_of(use)[1:] == ["0 extern calls", "0 nodes left to eager"]


def test_crossings_are_told_for_gint_and_each_other() -> None:
    got = [
        Measurement("llama", "eager", 0.05, (0.05,), 0.0),
        Measurement("llama", "gint", 1.5, (0.04,), 0.0),
        Measurement("llama", "inductor", failure="no compiler"),
    ]
    assert [line.name for line in lines_of(got)] == ["eager", "gint"]
    assert crossings_in_words(got) == [
        "eager starts ahead of gint; gint has caught up after 146 calls, 7.3 s in."
    ]
    assert crossings_in_words(got[:1]) == []
