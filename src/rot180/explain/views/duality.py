"""Duality: correlation forward means convolution backward, and the other way round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.core import Array
from rot180.errors import ArgumentError
from rot180.explain.views.view import View
from rot180.explain.words import say

if TYPE_CHECKING:
    from rot180.explain.explanation import Explanation

__all__ = ["Duality"]


class Duality(View):
    """The same arrays explained twice, once in each mode.

    Attributes:
        correlation: the explanation whose forward pass is a correlation.
        convolution: the explanation whose forward pass is a true convolution.
        turned: the other mode, called with the kernel turned by 180 degrees.

    The numbers of the view come from the other mode, called with the kernel turned by 180 degrees.
    """

    name = "duality"

    def __init__(self, explanation: Explanation, of: str) -> None:
        if "mode" not in explanation.options:
            raise ArgumentError(
                f"explain: {explanation.title} has no two modes",
                expected="a convolution or transposed convolution",
            )
        name = explanation[of].name
        self.correlation = explanation.again(mode="correlation")
        self.convolution = explanation.again(mode="convolution")
        other = "convolution" if explanation.options["mode"] == "correlation" else "correlation"
        w = explanation.values["w"].array
        turned = np.flip(w, tuple(range(2, w.ndim)))
        self.turned = explanation.again(mode=other, kernel=turned)
        super().__init__(explanation, name, self._other_way(name), explanation.values[name].array)

    def _other_way(self, name: str) -> Array:
        found = self.turned.values[name].array
        taps = tuple(range(2, found.ndim))
        return np.flip(found, taps) if name == "δ_w" else found

    def text(self) -> str:
        """One output cell and one input gradient in both modes, one under the other."""
        lines = []
        for word, e in (("correlation", self.correlation), ("convolution", self.convolution)):
            lines.append(say(f"mode {word}", e.lang))
            for name in ("z", "δ_x"):
                middle = tuple(n // 2 for n in e.values[name].shape)
                lines.append(f"  {e[name].at(middle).equation}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Equations of z and δ_x in both modes."""
        found = super().to_dict()
        for word, e in (("correlation", self.correlation), ("convolution", self.convolution)):
            found[word] = {name: [cell.equation for cell in e[name]] for name in ("z", "δ_x")}
        return found
