"""`backend_examples.py` runs to the end as it is typed, or says in a sentence why it does not."""

from __future__ import annotations

import sys

import pytest

from tests.airllm.cpp_ext.trees import needs_numpy, refuses_a_name

pytestmark = pytest.mark.checkout


def test_the_examples(tree):
    said = tree.run(sys.executable, "backend_examples.py", OMP_NUM_THREADS="1").fine()
    assert "Active backend: " in said
    assert "\ndecoder layer " in said


def test_the_examples_where_the_configuration_cannot_be_met(tree):
    tree.file.write_text('{"force_backend": "opencl"}')
    said = tree.run(sys.executable, "backend_examples.py", OMP_NUM_THREADS="1").fine()
    assert "The configuration cannot be met:" in said
    assert "tensor_ops_opencl" in said
    assert "\ndecoder layer " in said


def test_a_configuration_to_correct_is_a_sentence(tree):
    refuses_a_name(tree, "backend_examples.py")


def test_without_numpy(tree):
    needs_numpy(tree, "backend_examples.py")
