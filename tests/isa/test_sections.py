"""Section kinds: numbers of native code follow the order of the words."""

from gint.isa.sections import SectionKind


def test_every_kind_has_a_number_of_its_own():
    assert [kind.code for kind in SectionKind] == list(range(len(SectionKind)))
    assert SectionKind("map") is SectionKind.MAP


def test_the_c_header_has_them():
    from gint.isa.generate import header

    text = header()
    for kind in SectionKind:
        assert kind.name in text
