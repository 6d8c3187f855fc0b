"""The catalogue: every known mistake, by operation, as data. Nothing is compared here."""

from rot180.check.catalogue.family import Family, Trial
from rot180.check.catalogue.graph import function_family
from rot180.check.catalogue.linear import LINEAR, MATMUL
from rot180.check.catalogue.losses import BINARY, CROSS_ENTROPY, SOFTMAX, SQUARED
from rot180.check.catalogue.max_pool import MAX_POOLS
from rot180.check.catalogue.mean_pool import MEAN_POOLS
from rot180.check.catalogue.norms import BATCH_NORM
from rot180.check.catalogue.others import BROADCAST, JOIN, NORM, REDUCE, ROWS
from rot180.check.catalogue.pointwise import POINTWISE
from rot180.check.catalogue.windowed import CONVOLUTIONS, TRANSPOSED_CONVOLUTIONS
from rot180.check.mistake import Mistake
from rot180.errors import ArgumentError

__all__ = ["FAMILIES", "Family", "Trial", "family_of", "function_family", "mistakes"]

FAMILIES: tuple[Family, ...] = (
    CONVOLUTIONS, TRANSPOSED_CONVOLUTIONS, MAX_POOLS, MEAN_POOLS, LINEAR, POINTWISE, CROSS_ENTROPY,
    BINARY, SQUARED, SOFTMAX, BATCH_NORM, MATMUL, BROADCAST, REDUCE, NORM, ROWS, JOIN,
)  # fmt: skip
"""All families of operations."""


def family_of(operation: str) -> Family:
    """The family of an operation.

    Raises:
        ArgumentError: it has none; the message names those that have.
    """
    for family in FAMILIES:
        if operation in family.operations:
            return family
    raise ArgumentError(
        f"diagnose: no catalogue for operation {operation!r}",
        expected="one of " + ", ".join(name for f in FAMILIES for name in f.operations),
    )


def mistakes(operation: str) -> tuple[Mistake, ...]:
    """The known mistakes of an operation.

    Args:
        operation: such as "conv2d".

    Returns:
        Entries with name, gradient, group, algebra and fix.

    Raises:
        ArgumentError: an operation without a catalogue.

    >>> [m.name for m in mistakes("conv2d") if m.group == "padding" and m.gradient == "dx"][:3]
    ['padding p instead of e-1-p', 'valid instead of full', 'padding not cropped']
    """
    return family_of(operation).mistakes
