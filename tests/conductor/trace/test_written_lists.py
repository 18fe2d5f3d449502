"""What a list's operator writes is seen by its later tensors, as in eager."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.conductor.trace.written_lists import write_one_after_the_other

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("fresh_dynamo")]


@pytest.mark.parametrize(
    ("write", "views"),
    [
        (lambda x, y: torch._foreach_mul_([x, x], 2), False),
        (lambda x, y: torch._foreach_add_([x, y], [y, x]), False),
        (lambda x, y: torch._foreach_mul_([x, x[1:]], [2.0, 3.0]), False),
        (lambda x, y: torch._foreach_addcmul_([x, x], [y, y], [y, x], value=0.5), False),
        (lambda x, y: torch._foreach_mul_([x, y], 2), True),
    ],
    ids=["twice", "crosswise", "a view", "products", "inputs"],
)
def test_what_a_list_writes_is_seen_by_its_later_tensors(write, views):
    def step(x, y):
        write(x, y)
        return x + y

    def given():
        memory = torch.arange(1.0, 9.0)
        return (memory[:4], memory[2:6]) if views else (memory[:4], memory[4:])

    eager, compiled = given(), given()
    wanted = step(*eager)
    found = torch.compile(step, backend="gint")(*compiled)
    for a, b in zip((found, *compiled), (wanted, *eager), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_lists_that_share_no_memory_stay_one_call():
    def step(x, y):
        torch._foreach_add_([x, y], [x, y], alpha=2)
        return x

    calls = []

    def backend(gm, inputs):
        write_one_after_the_other(gm.graph)
        calls.extend(n for n in gm.graph.nodes if n.target is torch._foreach_add_)
        return gm.forward

    torch.compile(step, backend=backend)(torch.ones(3), torch.ones(3))
    assert len(calls) == 1
