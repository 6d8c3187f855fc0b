"""The compiled step: a traced program becomes a few native kernels for exactly these shapes.

It promises: the same results as eager within stated tolerances, no allocation in a step, the same
bits for the same number of threads. `emit` writes loop nests, each kernel family is one file with
its nest in the docstring, `plan` chooses and places, `step` runs. Operations, modules, optimisers
and training do not belong here: it knows the kinds and the traced program only.
"""

from rot180.jit.plan import Plan, make_plan
from rot180.jit.runner import Runner, disk_cache
from rot180.jit.target import Target, host
from rot180.jit.threads import get_num_threads, set_num_threads

__all__ = [
    "Plan",
    "Runner",
    "Target",
    "disk_cache",
    "get_num_threads",
    "host",
    "make_plan",
    "set_num_threads",
]
