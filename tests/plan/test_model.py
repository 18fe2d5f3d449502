"""Where a plan's own steps begin: behind those that read sizes from its inputs."""

import pytest

from gint.plan import Check, Define, Plan, Release

DEFINE, CHECK, RELEASE = Define("n", 0, ("size", 0)), Check(True, ""), Release(())


@pytest.mark.parametrize(
    ("steps", "head"),
    [
        ((), 0),
        ((DEFINE, DEFINE), 2),
        ((DEFINE, RELEASE, DEFINE), 1),
        ((CHECK, DEFINE), 0),
    ],
)
def test_the_head_of_a_plan(steps, head):
    assert Plan((), (), (), steps, ()).head == head
