# Everything starts here. Each target does its own set-up, in .venv in this folder.
PYTHON ?= $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)
export TORCH_INDEX ?=
ARGS ?=
VENV := .venv/bin
MAKEFLAGS += --no-print-directory

.PHONY: help env demo test test-source test-wheel fuzz sanitize bench gpu arm clang windows matrix bare wheel lint format clean

help:
	@echo "make demo    compile a small transformer with gint and with its competitors; a table and a picture"
	@echo "make test    the test suite: in the checkout, then from the wheel in an environment without torch"
	@echo "make fuzz    random programs, files and listings (tests/fuzz); MINUTES=5, or HOURS=n"
	@echo "make sanitize  native tests under AddressSanitizer, UndefinedBehaviorSanitizer, ThreadSanitizer"
	@echo "make bench   the benchmarks"
	@echo "make gpu     on a machine with an NVIDIA GPU: build, GPU suite, sweep (docs/gpu.md); installs nothing"
	@echo "make arm     cross-build for aarch64, and its tests under qemu (needs Debian's cross compiler)"
	@echo "make clang   the native module built by clang, and its tests"
	@echo "make windows the interpreter's sources read by mingw-w64; nothing is run"
	@echo "make matrix  the wheel under Python 3.11 to 3.13 and torch 2.11 and 2.13"
	@echo "make bare    the wheel in a bare Debian without a compiler (as root)"
	@echo "make wheel   a wheel in dist/"
	@echo "make lint    ruff, mypy, clang-format"
	@echo "make clean   remove everything that make created"
	@echo
	@echo "PYTHON=python3.12      the interpreter to use (3.11 or newer)"
	@echo "TORCH_INDEX=https://download.pytorch.org/whl/cpu      where torch comes from (this: CPU only, small)"
	@echo "ARGS='...'             arguments for demo, test, fuzz or bench"

env:
	@command -v $(PYTHON) >/dev/null || { echo "gint: there is no $(PYTHON) here. Name a Python 3.11 or newer: make PYTHON=python3.12 ..." >&2; exit 2; }
	@$(PYTHON) scripts/bootstrap.py

demo: env
	@$(VENV)/python -m gint.cli demo $(ARGS)

bench: env
	@$(VENV)/python -m gint.cli bench $(ARGS)

# The interpreter as it is: such a machine may have no network and a torch of its own.
gpu:
	@$(PYTHON) scripts/gpu.py $(ARGS)

arm: env
	@$(VENV)/python scripts/arm.py $(ARGS)

clang: env
	@$(VENV)/python scripts/clang.py $(ARGS)

windows: env
	@$(VENV)/python scripts/windows.py

# Environments of its own: only the standard library is needed here.
matrix:
	@$(PYTHON) scripts/matrix.py $(ARGS)

bare: wheel
	@$(VENV)/python scripts/bare.py

test: test-source
	@$(MAKE) test-wheel

test-source: env
	@$(VENV)/python -m pytest -n 2 $(ARGS)

# A folder without src/ beside it, and pytest's own script: gint can only come from the wheel.
test-wheel: wheel
	@$(PYTHON) scripts/bootstrap.py --wheel "$$(ls -t dist/gint-*.whl | head -n 1)"
	@echo "gint: tests of the installed wheel, without torch"
	@GINT_TEST_WHEEL=1 .venv-wheel/bin/pytest -n 2 -m "not torch and not checkout" $(ARGS)

fuzz: env
	@$(VENV)/python -m tests.fuzz $(if $(HOURS),--hours $(HOURS),--minutes $(or $(MINUTES),5)) $(ARGS)

sanitize: env
	@$(VENV)/python scripts/sanitize.py $(ARGS)

# For this machine's glibc. For publishing, as `make bare` has it: auditwheel repair --exclude
# libgomp.so.1 (torch's is shared by that soname; a copy would be a second runtime in the process).
wheel: env
	@rm -f dist/gint-*.whl
	@$(VENV)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/gint-*.whl

lint: env
	@$(VENV)/ruff check
	@$(VENV)/ruff format --check
	@$(VENV)/mypy
	@find src -name '*.cpp' -o -name '*.h' -o -name '*.cl' -o -name '*.cu' | xargs -r $(VENV)/clang-format --dry-run --Werror

format: env
	@$(VENV)/ruff check --fix-only
	@$(VENV)/ruff format
	@find src -name '*.cpp' -o -name '*.h' -o -name '*.cl' -o -name '*.cu' | xargs -r $(VENV)/clang-format -i

clean:
	rm -rf .venv .venv-wheel build dist out .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
	find src \( -name '*.so' -o -name '_build_error.txt' -o -name '*.fatbin' \) -delete
