"""`python setup.py COMMAND`: configure, build and check the backends of airllm.tensor_ops.

Finds the packages by its own place, so that it works in a fresh checkout, with nothing built or
installed, from any folder. The commands are those of `python -m airllm.cpp_ext` (cli.py), and
setuptools has no part in them. Old versions of Python can read this file, and are told what is
needed.
"""
# ruff: noqa: RUF005

import os
import sys

MINIMUM = (3, 11)
HERE = os.path.dirname(os.path.realpath(__file__))
SOURCES = os.path.dirname(os.path.dirname(HERE))


def main(arguments):
    if sys.version_info[:2] < MINIMUM:
        sys.stderr.write(
            "setup.py: Python %s.%s or newer is needed, and %s is %s.%s.\n"
            % (MINIMUM + (sys.executable,) + tuple(sys.version_info[:2]))
        )
        return 2
    # This folder is no place to import from: a module here must not hide one of the same name.
    others = [path for path in sys.path if os.path.realpath(path or os.curdir) != HERE]
    sys.path[:] = [SOURCES] + others

    from airllm.cpp_ext import cli

    return cli.main(arguments, "setup.py")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
