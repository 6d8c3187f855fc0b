"""ONNX's backend node tests: every case of an operator that we map passes or has a reason."""

from __future__ import annotations

import fnmatch
from importlib.metadata import version

import onnx_arrays
import onnx_operators
import pytest
from onnx_adapter import Case, collect, mapped_operators, run
from onnx_not_run import NOT_RUN, OPERATORS_NOT_MAPPED, TYPES

pytest.importorskip("onnx")

assert onnx_operators  # importing the two modules is what maps the operators
assert onnx_arrays

# The tables were written against this version; others have more or fewer cases.
TABLES_KNOW = version("onnx").startswith("1.23.")


def reason_by_type(case: Case) -> str | None:
    strange = sorted(case.types - TYPES)
    return (
        f"holds {', '.join(strange)}: the types here are {', '.join(sorted(TYPES))}"
        if strange
        else None
    )


def reason_by_table(name: str) -> str | None:
    return next((why for pattern, why in NOT_RUN.items() if fnmatch.fnmatch(name, pattern)), None)


def mapped_cases() -> dict[str, Case]:
    return {name: case for name, case in collect().items() if case.operator in mapped_operators()}


def failure(case: Case) -> str | None:
    try:
        run(case)
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return None


@pytest.mark.parametrize("operator", sorted(mapped_operators()))
def test_cases_of(operator: str) -> None:
    failures = {}
    passed = 0
    for name, case in mapped_cases().items():
        if case.operator != operator or reason_by_type(case) or reason_by_table(name):
            continue
        why = failure(case)
        if why:
            failures[name] = why
        else:
            passed += 1
    assert not failures, failures
    assert passed or not TABLES_KNOW, f"no case of {operator} is run"


def test_at_least_150_cases_are_run() -> None:
    run_now = [
        n for n, c in mapped_cases().items() if not reason_by_type(c) and not reason_by_table(n)
    ]
    assert len(run_now) >= 150


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_listed_case_would_pass() -> None:
    """Wildcards may not hide a case that works."""
    would_pass = [
        name
        for name, case in mapped_cases().items()
        if reason_by_table(name) and not reason_by_type(case) and failure(case) is None
    ]
    assert not would_pass


@pytest.mark.skipif(not TABLES_KNOW, reason="the tables were written against another onnx")
def test_no_listed_name_is_unknown() -> None:
    names = list(mapped_cases())
    assert not [pattern for pattern in NOT_RUN if not fnmatch.filter(names, pattern)]
    operators = {case.operator for case in collect().values()}
    listed = {name for names in OPERATORS_NOT_MAPPED.values() for name in names.split()}
    assert not listed & mapped_operators()
    assert listed | mapped_operators() >= operators, operators - listed - mapped_operators()
    assert listed <= operators, listed - operators
