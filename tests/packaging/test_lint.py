"""What runs before a commit is what CI runs before the tests."""

import re
import subprocess

import pytest

pytestmark = pytest.mark.checkout


def commands(root, *targets: str) -> list[str]:
    """What make would run, the set-up aside."""
    said = subprocess.check_output(["make", "--dry-run", *targets], cwd=root, text=True)
    return [
        line for line in said.splitlines() if "bootstrap" not in line and "command -v" not in line
    ]


def test_a_commit_meets_what_ci_lints(root):
    hooks = (root / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    targets = re.findall(r"entry: make ([\w-]+)$", hooks, re.MULTILINE)
    assert len(targets) == hooks.count("entry:")
    in_ci = re.findall(r"^make (lint\S*)", (root / ".ci/run").read_text("utf-8"), re.MULTILINE)
    assert in_ci
    assert commands(root, *targets) == commands(root, *in_ci)
