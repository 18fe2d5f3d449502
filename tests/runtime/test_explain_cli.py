"""`gint explain model.gint`."""

from gint.plan import Call, Use
from gint.runtime.explain_cli import main
from tests.plan.saving import plan, save


def test_a_saved_function_is_printed(tmp_path, capsys):
    assert main([str(save(tmp_path / "a.gint"))]) == 0
    said = capsys.readouterr().out
    assert said.startswith("a.gint: 1 programs, 1 launches, 1 calls of operators\n")
    assert "mul.f32 r[2] <- r[0] * r[1]" in said


def test_what_cannot_be_read_is_a_sentence(tmp_path, capsys):
    broken = tmp_path / "broken.gint"
    broken.write_bytes(b"GPLN")
    for path in (broken, tmp_path / "none.gint", tmp_path):
        assert main([str(path)]) == 2
        assert capsys.readouterr().err.startswith("gint explain: ")


def test_further_operators_are_named(tmp_path, capsys):
    from dataclasses import replace

    steps = (*plan().steps, Call(6, "aten.linalg_inv.default", (Use(5),)))
    path = str(save(tmp_path / "a.gint", replace(plan(), steps=steps)))
    assert main([path]) == 2
    assert "not among the operators" in capsys.readouterr().err
    assert main([path, "--operator", "aten.linalg_inv.default"]) in (0, 2)
