"""The catalogue: every known mistake, by operation, as data. Nothing is compared here."""

from rot180.check.catalogue.family import Family, Trial
from rot180.check.catalogue.windowed import CONVOLUTIONS, TRANSPOSED_CONVOLUTIONS
from rot180.errors import ArgumentError

__all__ = ["FAMILIES", "Family", "Trial", "family_of"]

FAMILIES: tuple[Family, ...] = (CONVOLUTIONS, TRANSPOSED_CONVOLUTIONS)
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
