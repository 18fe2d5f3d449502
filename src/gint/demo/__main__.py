"""`python -m gint.demo`, the same as `gint demo`."""

import sys

from gint.demo.command import main

sys.exit(main(sys.argv[1:]))
