"""The option `weights`: names of formats, and patterns of names."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from gint.conductor.options import Options
from gint.conductor.weights.choice import Choice
from gint.quantized import FORMATS

pytestmark = pytest.mark.torch


def test_one_format_is_for_all():
    for f in FORMATS:
        assert Choice.of(f.name).format_for("any.name") is f
    assert Choice.of("Q4_0") == Choice.of("q40")


def test_the_first_pattern_that_matches_decides():
    choice = Choice.of({"*.mlp.*": "q4_0", "lm_head*": "keep", "model.*": "q8_0"})
    found = [
        choice.format_for(name)
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
    ],
)
def test_what_is_no_choice(wrong, words):
    with pytest.raises(ValueError, match=words):
        Options.of({"weights": wrong})
