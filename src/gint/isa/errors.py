"""The bits of a launch's error flag; the C headers have them as GI_DIVISION_BY_ZERO and so on."""

DIVISION_BY_ZERO = 1
INDEX_OUT_OF_RANGE = 2
#: Of native interpreters alone, which raise MemoryError before Python sees the flag.
OUT_OF_MEMORY = 1 << 30
