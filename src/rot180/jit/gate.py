"""The gate: a step whose loss is not finite ends before the first parameter is written.

Eager training looks at the loss between the forward and the backward pass. A native step is one
call, so it looks itself: before the first row that writes a parameter or a state of the optimiser
all threads meet, and leave together if the loss is NaN or infinite. What is left are the weights
that gave this loss, so that the operation which made it can be found.
"""

from __future__ import annotations

from rot180.jit.planning.plan import Plan

__all__ = ["LOSS", "gate_row", "word_of_exponent"]

LOSS = "loss"
"""The output that the gate looks at."""


def gate_row(plan: Plan) -> int | None:
    """The place in the table of calls of the row with the gate, None for a plan without one.

    There is none where nothing is written, or where the loss is not known before the first write.
    """
    kept = {value.number for value in plan.program.of_role("parameter", "state")}
    loss = plan.outputs.get(LOSS)
    first = gate = None
    for at, row in enumerate(plan.rows):
        if row.span:
            first = at
        pairs = zip(row.call.kernel.arrays, row.arrays, strict=True)
        written = {name for array, name in pairs if array in row.call.writes}
        if gate is None and written & kept:
            gate = first
        if gate is not None and loss in written:
            return None
    return gate if loss is not None else None


def word_of_exponent(address: int, bytes_of_number: int) -> tuple[int, int]:
    """(address, mask) of the 32 bits of a float that hold its exponent, as little-endian."""
    return (address, 0x7F800000) if bytes_of_number == 4 else (address + 4, 0x7FF00000)
