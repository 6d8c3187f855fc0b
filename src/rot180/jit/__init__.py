"""The compiled step: a traced program becomes a few native kernels for exactly these shapes.

It promises: the same results as eager within stated tolerances, no allocation in a step, the same
bits for the same number of threads. `emission` has the words for loop nests, each of `families` is
one file with its nest in the docstring, `planning` chooses and places, `runner` runs. Operations,
modules, optimisers and training do not belong here: it knows the kinds and the traced program only.

Importing this floor costs nothing and needs no llvmlite: what compiles is imported when named.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rot180.jit.threads import get_num_threads, set_num_threads

if TYPE_CHECKING:
    from rot180.jit.emission.target import Target, host
    from rot180.jit.planning.plan import Plan
    from rot180.jit.planning.planner import make_plan
    from rot180.jit.planning.sharing import threads_for
    from rot180.jit.runner import Runner, disk_cache

__all__ = [
    "Plan",
    "Runner",
    "Target",
    "disk_cache",
    "get_num_threads",
    "host",
    "make_plan",
    "set_num_threads",
    "threads_for",
]

_PLACES = {
    "Plan": "planning.plan",
    "Runner": "runner",
    "Target": "emission.target",
    "disk_cache": "runner",
    "host": "emission.target",
    "make_plan": "planning.planner",
    "threads_for": "planning.sharing",
}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(f"rot180.jit.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'rot180.jit' has no attribute {name!r}")
