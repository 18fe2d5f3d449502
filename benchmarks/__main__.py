"""`python -m benchmarks`, the same as `gint bench`."""

import sys

from benchmarks.command import main

sys.exit(main(sys.argv[1:]))
