"""python -m airllm.cli"""

import sys

from . import main

sys.exit(main())
