"""The pytest plugin: another project's backward pass, checked in three lines.

    def test_my_convolution(rot180_diagnose):
        rot180_diagnose("conv2d", my_backward, stride=2, padding=1)

A wrong gradient fails the test, with the name of the mistake, the cells and the fix. pytest finds
the plugin by itself where rot180 is installed; what it needs is imported when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rot180.check.diagnosis import Diagnosis
    from rot180.check.gradient_check import GradientCheck

__all__ = ["rot180_diagnose", "rot180_gradients"]


@pytest.fixture
def rot180_diagnose() -> Callable[..., Diagnosis]:
    """`rot180.check.diagnose`, which fails the test where something is wrong."""

    def check(operation: Any, *arguments: Any, **named: Any) -> Diagnosis:
        __tracebackhide__ = True
        from rot180.check import diagnose

        found = diagnose(operation, *arguments, **named)
        if not found:
            pytest.fail(str(found), pytrace=False)
        return found

    return check


@pytest.fixture
def rot180_gradients() -> Callable[..., GradientCheck]:
    """`rot180.check.gradients`, which fails the test where a cell differs."""

    def check(f: Any, *inputs: Any, **options: Any) -> GradientCheck:
        __tracebackhide__ = True
        from rot180.check import gradients

        found = gradients(f, *inputs, raise_exception=False, **options)
        if not found:
            pytest.fail(str(found), pytrace=False)
        return found

    return check
