"""Arranging values into sections."""

from gint.host.frontend import Builder
from gint.isa import Form
from gint.program import Program


def _sections(p: Program) -> list[str]:
    return [s.kind.value for s in p.sections]


def _softmax(b: Builder) -> None:
    rows, cols = b.parallel("rows"), b.reduced("cols")
    x = b.input("x", "f32", rows, cols)
    e = b.exp(x - b.amax(x))
    b.output("y", "f32", (rows, cols), e / b.sum(e))


def test_softmax_reads_the_row_once_per_reduction_and_once_for_the_result():
    b = Builder("softmax")
    _softmax(b)
    p = b.build().program
    assert _sections(p) == ["reduce", "reduce", "map"]
    assert [i.op.name for i in p.sections[0].instructions] == ["load", "amax"]
    assert [i.op.name for i in p.sections[1].instructions] == ["load", "sub", "exp", "sum"]
    names = [i.op.name for i in p.sections[2].instructions]
    assert names == ["load", "sub", "exp", "div", "store"]


def test_layer_norm_computes_row_values_in_scalar_sections():
    b = Builder("layer_norm")
    rows, cols = b.parallel("rows"), b.reduced("cols")
    x = b.input("x", "f32", rows, cols)
    n = b.cast(b.extent(cols), "f32")
    mean = b.sum(x) / n
    centred = x - mean
    scale = b.rsqrt(b.sum(centred * centred) / n + 1e-5)
    b.output("y", "f32", (rows, cols), centred * scale)
    b.output("mean", "f32", (rows,), mean)
    p = b.build().program
    assert _sections(p) == ["scalar", "reduce", "scalar", "reduce", "scalar", "map", "scalar"]
    assert [i.op.name for i in p.sections[-1].instructions] == ["store"]
    assert "rsqrt" in [i.op.name for i in p.sections[4].instructions]


def test_reductions_of_one_stage_share_a_section():
    b = Builder("moments")
    rows, cols = b.parallel("rows"), b.reduced("cols")
    x = b.input("x", "f32", rows, cols)
    b.output("s", "f32", (rows,), b.sum(x))
    b.output("q", "f32", (rows,), b.sum(x * x))
    assert _sections(b.build().program) == ["reduce", "scalar"]


def test_pointwise_programs_are_one_map_section():
    b = Builder("pointwise")
    n = b.parallel("n")
    b.output("y", "f32", (n,), b.input("x", "f32", n) + b.const(1, "f32"))
    assert _sections(b.build().program) == ["map"]


def test_stores_come_after_every_load_so_that_slots_can_be_written_in_place():
    b = Builder("swap")
    n = b.parallel("n")
    x, y = b.inout("x", "f32", n), b.inout("y", "f32", n)
    b.store("x", y)
    b.store("y", x)
    forms = [i.op.form for s in b.build().program.sections for i in s.instructions]
    assert forms == [Form.LOAD, Form.LOAD, Form.STORE, Form.STORE]


def test_nothing_is_loaded_after_a_store_in_a_later_section():
    b = Builder("rows_and_full")
    rows, cols = b.parallel("rows"), b.reduced("cols")
    x, u = b.inout("x", "f32", rows, cols), b.inout("u", "f32", rows)
    b.store("x", x * u)
    b.store("u", b.sum(x) + u)
    code = [i for s in b.build().program.sections for i in s.instructions]
    stores = [n for n, i in enumerate(code) if i.op.form is Form.STORE]
    loads = [n for n, i in enumerate(code) if i.op.form is Form.LOAD]
    assert max(loads) < min(stores)


def test_what_is_not_stored_is_not_computed():
    b = Builder("dead")
    n = b.parallel("n")
    x = b.input("x", "f32", n)
    b.exp(x)
    b.output("y", "f32", (n,), -x)
    names = [i.op.name for i in b.build().program.sections[0].instructions]
    assert names == ["load", "neg", "store"]
