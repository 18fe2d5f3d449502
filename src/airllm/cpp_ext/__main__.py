"""`python -m airllm.cpp_ext`: the commands of setup.py, for an installed package too."""

import sys

from .cli import main

sys.exit(main(sys.argv[1:], "python -m airllm.cpp_ext"))
