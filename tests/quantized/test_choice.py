"""What is said of weights' formats: names of formats, and patterns of names."""

from __future__ import annotations

import pytest

from gint.quantized import FORMATS, WeightFormats


def test_one_format_is_for_all():
    for f in FORMATS:
        assert WeightFormats.of(f.name).format_for("any.name") is f
    assert WeightFormats.of("Q4_0") == WeightFormats.of("q40")


def test_the_first_pattern_that_matches_decides():
    formats = WeightFormats.of({"*.mlp.*": "q4_0", "lm_head*": "keep", "model.*": "q8_0"})
    found = [
        formats.format_for(name)
        for name in (
            "model.layers.0.mlp.up.weight",
            "lm_head.weight",
            "model.embed.weight",
            "other",
        )
    ]
    assert [f and f.name for f in found] == ["q4_0", None, "q8_0", None]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("q9", r"'q9' is no format of weights. There are: q4_0, .*, keep\."),
        ({"*": 8}, "8 is no format"),
        ({3: "q8_0"}, "A pattern of weights' names is a str, not 3"),
        ({}, "a dict of patterns to such names, not {}"),
        (4, "the name of a format, such as 'q8_0'"),
        (None, "not None; 'keep' keeps weights as they are"),
    ],
)
def test_what_says_no_format(wrong, words):
    with pytest.raises(ValueError, match=words):
        WeightFormats.of(wrong)


def test_patterns_that_nothing_matches_are_told(recwarn):
    formats = WeightFormats.of({"*.qkv": "q8_0", "outptu": "keep", "*": "q4_0"})
    formats.warn_of_unmatched(["0.qkv", "0.down", "output"])
    (warning,) = recwarn
    said = "No weight has a name like 'outptu'; there are '0.qkv' to 'output'."
    assert (warning.category, str(warning.message)) == (RuntimeWarning, said)
    formats.warn_of_unmatched([])
    assert str(recwarn[1].message).endswith("like '*.qkv'; there are none.")
