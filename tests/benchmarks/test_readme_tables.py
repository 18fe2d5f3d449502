"""The tables of docs/benchmarks.md say what the run's JSON says, and the README's what they say."""

import json

import pytest

from benchmarks.readme_tables import (
    DETAILS,
    README,
    ROOT,
    TABLES,
    WORTH,
    fill,
    main,
    put,
    worth,
)

CASE = {
    "kernel": "x + 2y",
    "size": "large",
    "samples_s": {
        regime: {"eager": [0.03], "inductor": [0.02, 0.04, 0.03], "gint": [0.01]}
        for regime in ("dropped", "held", "into")
    },
}
GEOMEANS = {"Inductor / gint, big": 1.25, "Inductor / gint, small": 2.0}
RUN = {
    "machine": {
        "cpu": "CPU", "cores": 2, "threads": 2, "memory_gib": 23.5, "python": "3.11.7",
        "date": "2026-11-20T10:00:00", "commit": "abcdef0123",
    },
    "results": {
        "kernels": {
            "cases": [CASE],
            "geomeans": dict.fromkeys(("dropped", "held", "into"), GEOMEANS),
        },
        "models": {"medians_s": {"llama": {"eager": 0.05, "gint": 0.04}}, "notes": ["a verdict"]},
        "first_call": {
            "medians_s": {"llama": {"eager": 0.05, "inductor": 2.0}},
            "median_peaks_mib": {"llama": {"eager": 300.4, "inductor": 600.0}},
            "notes": [],
        },
        "start": {
            "medians": {
                "arrays": {
                    "process_s": 0.4, "imported_s": None, "built_s": None, "peak_bytes": 2e8,
                },
                "aoti": dict.fromkeys(("process_s", "imported_s", "built_s", "peak_bytes")),
            },
            "steady_medians_s": {"saved": 0.05},
            "notes": ["slower"],
        },
        "saved": {
            "medians_s": {"llama": {"eager": 0.08, "gint": 0.04, "tensors": 0.05, "arrays": 0.02}},
            "ratios": {"torch.compile / saved": {"llama": 0.8}, "eager / saved": {"llama": 4.0}},
            "geomeans": {"torch.compile / saved": 0.8, "eager / saved": 4.0},
            "notes": ["a saved verdict"],
        },
        "tensor_ops": {"backend": "cpp", "device": "v4", "cases": [{
            "operation": "silu", "shape": [128, 4096],
            "medians_s": {"numpy": 4e-4, "torch": 2e-4, "tensor_ops": 1e-4},
        }]},
        **{name: {"notes": [name]} for name in ("shapes", "call_cost", "import_cost")},
    },
}  # fmt: skip
PAGE = "# Page\n" + "".join(f"<!-- {name} -->\nold\n<!-- end -->\n" for name in TABLES) + "tail\n"


def test_every_place_is_filled_anew():
    text = fill(PAGE, RUN)
    assert "old" not in text
    assert text.endswith("tail\n")
    assert "CPU, 2 cores, 24 GiB; Python 3.11.7, 2 threads, 2026-11-20, commit abcdef0." in text
    assert "| saved plan, without torch |  | 0.40 |  | 200 |" in text
    assert "| AOTInductor's package |  |  |  |  |" in text
    assert "Later calls, milliseconds: saved plan 50.0.\n\n- slower" in text
    assert "| x + 2y | 30.00 | 30.00 | 10.00 | 30.00 | 30.00 | 10.00 | 3.00, 3.00 |" in text
    assert "| 256x1024 and 4096x4096 | 1.25 | 1.25 | 1.25 |" in text
    assert "| Llama | 50.00 | 40.00 |" in text
    assert "| seconds | eager | Inductor |" in text
    assert "| MiB | eager | Inductor |" in text
    assert "| Llama | 300 | 600 |" in text
    assert "- a verdict" in text
    assert "| Llama | 80.0 | 40.0 | 50.0 | 20.0 | 0.80 | 4.00 |" in text
    assert "- a saved verdict" in text
    assert "| `silu` (128, 4096) | 400 | 200 | 100 | 4.00 | 2.00 |" in text
    assert fill(text, RUN) == text


def test_tables_that_are_named_alone():
    text = fill(PAGE, RUN, ["table: tensor_ops"])
    assert "| `silu` (128, 4096) |" in text
    assert text.count("old") == len(TABLES) - 1


def test_a_page_without_a_place_for_a_table():
    with pytest.raises(ValueError, match="no place for 'table: kernels'"):
        fill(PAGE.replace("table: kernels", "kernels"), RUN)


@pytest.mark.checkout
def test_the_readme_says_what_the_page_of_benchmarks_says():
    """And the page's tables have the form in which they are written."""
    details, readme = (ROOT / DETAILS).read_text("utf-8"), (ROOT / README).read_text("utf-8")
    assert put(readme, WORTH, worth(details)) == readme
    assert all(f"<!-- {name} -->" in details for name in TABLES)


def test_a_figure_that_is_not_there():
    with pytest.raises(ValueError, match="no 'eager' of 'Llama'"):
        worth(fill(PAGE, RUN, ["table: kernels"]))


@pytest.mark.checkout
def test_the_command(tmp_path, capsys):
    """Some of the tables: the rest, and the README's rows of them, stay as they are."""
    run = tmp_path / "run.json"
    run.write_text(json.dumps(RUN))
    for page in (DETAILS, README):
        (tmp_path / page).parent.mkdir(exist_ok=True)
        (tmp_path / page).write_text((ROOT / page).read_text("utf-8"))
    assert main([str(run), "table: first call", "machine"], root=tmp_path) == 2
    assert "no 'gint' of 'Llama'" in capsys.readouterr().err
    assert (tmp_path / DETAILS).read_text() == (ROOT / DETAILS).read_text("utf-8")
    assert main([str(run), "table: shapes, call cost, import"], root=tmp_path) == 0
    assert "- import_cost\n" in (tmp_path / DETAILS).read_text()
    assert (tmp_path / README).read_text() == (ROOT / README).read_text("utf-8")
    assert main([str(run), "table: nonsense"], root=tmp_path) == 2
    assert "usage" in capsys.readouterr().err
