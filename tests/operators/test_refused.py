"""Every operator that a saved plan may call is in the table, or is refused with a reason."""

from gint.operators import OPERATORS, REFUSED
from gint.plan.operators import EXTERNS, OWN

#: Checks and writes that no export leaves in a graph, or that are made of others when traced.
TRACED_AWAY = {"_assert_async", "_assert_scalar", "_assert_tensor_metadata", "sym_constrain_range",
               "sym_constrain_range_for_size"}  # fmt: skip


def test_none_is_forgotten():
    known = {name.split(".")[1] for name in OPERATORS}
    names = {name for names in EXTERNS.values() for name in names} | set(OWN)
    assert names - known - set(REFUSED) - TRACED_AWAY == set()


def test_nothing_is_both():
    known = {name.split(".")[1] for name in OPERATORS}
    assert not known & set(REFUSED)
    assert all(
        (reason and reason[0].islower()) or reason[0].isupper() for reason in REFUSED.values()
    )
