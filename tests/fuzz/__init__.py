"""The fuzz campaign: cases made at random, each refused in words or run with the right result.

    make fuzz                    every kind in turn, five minutes in all
    make fuzz MINUTES=1 ARGS=programs
    make fuzz HOURS=10
    python -m tests.fuzz programs --minutes 20 --processes 2    on two cores of Zen 5: 10^7 of them
    python -m tests.fuzz --again out/fuzz/programs-1.json

A *kind* is a module here with a `KIND` (kinds.py says what it offers), and one line in kinds.KINDS:

    programs.py   mutated programs and bindings, compared, between unreadable pages: on `python` and
                  `cpp` always, on the other backends one in eight
    files.py      damaged and forged `.gint` files
    plans.py      damaged and forged files of saved functions, loaded and called
    bundles.py    the same, of functions that torch exports, with many operators
    texts.py      damaged listings
    graphs.py     random torch functions, called several times, beside eager and `aot_eager`
    modules.py    random modules, trained, frozen, quantised or saved, beside eager
    load.py       threads that call one another's functions; memory that may not grow

A case follows from a seed and a number alone. Cases run in child processes (child.py), so a
crash or a hang is a finding like any other: the parent (campaign.py) makes the case smaller
(shrinking.py) and leaves it in a file under out/fuzz, with the line that runs it again. A slice of
each kind runs with the suite (test_slices.py), and so does what is in corpus/ (corpus.py).
"""
