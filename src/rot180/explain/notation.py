r"""How cells are written: names, indices from 0 or 1, which leading axes are left out.

| array    | text   | LaTeX                 |
| -------- | ------ | --------------------- |
| x        | x_01   | x_{01}                |
| δ        | δ_01   | \delta_{01}           |
| δ_x      | δ_x01  | \delta_{x_{01}}       |
| a2       | a2_01  | a^{(2)}_{01}          |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rot180.explain.tape import Value

__all__ = ["Notation"]


@dataclass(frozen=True)
class Notation:
    """How one explanation writes its cells.

    Attributes:
        values: the named arrays.
        base: the first index, 0 or 1.
        spaced: write commas between indices, because one of them has two digits.
        whole: "δ_z" writes the upstream gradient as δ_z00, "δ" as δ_00.
    """

    values: Mapping[str, Value]
    base: int = 0
    spaced: bool = False
    whole: str = "δ"

    @staticmethod
    def of(values: Mapping[str, Value], base: int, whole: str = "δ") -> Notation:
        """Commas are written where any printed index may have two digits, or there are many."""
        sizes = [v.shown for v in values.values()]
        wide = any(size - 1 + base > 9 for shape in sizes for size in shape)
        return Notation(values, base, wide or any(len(shape) > 3 for shape in sizes), whole)

    def digits(self, name: str, index: tuple[int, ...]) -> str:
        """The index of a cell as it is printed."""
        shown = index[self.values[name].lead :]
        return ("," if self.spaced else "").join(str(i + self.base) for i in shown)

    def text(self, name: str, index: tuple[int, ...]) -> str:
        """A cell as text.

        >>> import numpy as np
        >>> notation = Notation({"δ_x": Value(np.zeros((1, 1, 3, 3)), lead=2)})
        >>> notation.text("δ_x", (0, 0, 0, 1))
        'δ_x01'
        """
        digits = self.digits(name, index)
        written = self.whole if name == "δ" else name
        if not digits:
            return written
        joined = re.fullmatch(r"δ_[A-Za-z]", written)
        return f"{written}{digits}" if joined else f"{written}_{digits}"

    def latex(self, name: str, index: tuple[int, ...]) -> str:
        r"""A cell in LaTeX.

        >>> import numpy as np
        >>> notation = Notation({"δ_x": Value(np.zeros((1, 1, 3, 3)), lead=2)})
        >>> print(notation.latex("δ_x", (0, 0, 0, 1)))
        \delta_{x_{01}}
        """
        digits = self.digits(name, index)
        written = self.whole if name == "δ" else name
        if written == "δ":
            return rf"\delta_{{{digits}}}" if digits else r"\delta"
        if written.startswith("δ_"):
            return rf"\delta_{{{_subscripted(written[2:], digits)}}}"
        return _subscripted(written, digits)


def _subscripted(name: str, digits: str) -> str:
    numbered = re.fullmatch(r"([A-Za-z])(\d+)", name)
    if numbered:
        head = rf"{numbered[1]}^{{({numbered[2]})}}"
    else:
        head = name if len(name) == 1 else rf"\mathrm{{{name}}}".replace("_", r"\_")
    return rf"{head}_{{{digits}}}" if digits else head
