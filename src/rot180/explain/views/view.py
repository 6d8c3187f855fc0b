"""View: one way to see where an array comes from; all views give the same numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rot180.core import Array
from rot180.explain.words import say

if TYPE_CHECKING:
    from rot180.explain.explanation import Explanation

__all__ = ["View"]


class View:
    """The base of all views.

    Attributes:
        name: "scatter", "gather", "matrix", "network", "graph" or "duality".
        explanation: where cells are read.
        of: the array that the view computes, such as "δ_x".
        array: its numbers, computed in this view's own way.
        engine: the engine's numbers for the same; a bias that is added afterwards is in neither.
    """

    name: ClassVar[str] = ""

    def __init__(self, explanation: Explanation, of: str, array: Array, engine: Array) -> None:
        self.explanation = explanation
        self.of = of
        self.array = array.reshape(engine.shape)
        self.engine = engine

    @property
    def title(self) -> str:
        """What the view shows, in the explanation's language."""
        return say(self._title, self.explanation.lang)

    @property
    def _title(self) -> str:
        return f"view {self.name}"

    @property
    def agrees(self) -> bool:
        """Whether the view's numbers are the engine's, cell by cell, up to rounding."""
        engine = self.engine
        close = np.abs(self.array - engine)
        eps = float(np.finfo(engine.dtype).eps) if engine.dtype.kind == "f" else 0.0
        size = np.abs(engine).max(initial=0.0) + np.abs(self.array).max(initial=0.0)
        return bool((close <= 64 * eps * max(1.0, float(size))).all())

    def text(self) -> str:
        """The view in characters."""
        raise NotImplementedError(type(self).__name__)

    def to_dict(self) -> dict[str, Any]:
        """The view as JSON-ready data."""
        return {"name": self.name, "of": self.of, "array": self.array.tolist()}

    def __str__(self) -> str:
        return f"{self.title}\n{self.text()}"

    def __repr__(self) -> str:
        return f"<{self.name} of {self.of}, {'equal to' if self.agrees else 'NOT'} the engine's>"
