"""Convention: one way to read arrays as a convolution, and the answer of `identify`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rot180.errors import ArgumentError

__all__ = ["Convention", "Identification"]


@dataclass(frozen=True)
class Convention:
    """One way to read the arrays.

    Attributes:
        mode: "correlation", "convolution", or "flipped along axes (...)".
        stride: S per axis.
        dilation: D per axis.
        padding: (before, after) per axis.
        groups: of the channels.
        data_layout: of x and y, such as "NCHW".
        weight_layout: of w, such as "OIHW" or "HWIO".
        rule: the words of `window.PADDING_WORDS`, and "symmetric", that give this padding.
        bias: the constant of each filter that y has besides; () where there is none.
    """

    mode: str
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    groups: int
    data_layout: str
    weight_layout: str
    rule: tuple[str, ...]
    bias: tuple[float, ...] = ()

    def __str__(self) -> str:
        pads = ", ".join(f"{before}+{after}" for before, after in self.padding)
        rule = f" ({', '.join(self.rule)})" if self.rule else ""
        text = f"{self.mode}, stride {_join(self.stride)}, padding {pads}{rule}"
        if max(self.dilation) > 1:
            text += f", dilation {_join(self.dilation)}"
        if self.groups > 1:
            text += f", {self.groups} groups"
        text += f", data {self.data_layout}, weights {self.weight_layout}"
        return text + (", with a bias" if self.bias else "")

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "mode": self.mode,
            "stride": list(self.stride),
            "dilation": list(self.dilation),
            "padding": [list(pair) for pair in self.padding],
            "groups": self.groups,
            "data_layout": self.data_layout,
            "weight_layout": self.weight_layout,
            "rule": list(self.rule),
            "bias": list(self.bias),
        }


@dataclass(frozen=True)
class Identification:
    """The answer of `rot180.check.identify`. It is true where a convention was found.

    Attributes:
        conventions: all that fit, the plainest first.
        tried: how many were tried.
    """

    conventions: tuple[Convention, ...]
    tried: int

    def __bool__(self) -> bool:
        return bool(self.conventions)

    @property
    def best(self) -> Convention:
        """The plainest convention.

        Raises:
            ArgumentError: none was found.
        """
        if not self.conventions:
            raise ArgumentError("identify: no convention fits these arrays")
        return self.conventions[0]

    def __str__(self) -> str:
        if not self.conventions:
            return f"no convention fits ({self.tried} tried)"
        lines = [str(self.conventions[0])]
        lines += [f"  fits as well: {other}" for other in self.conventions[1:4]]
        if len(self.conventions) > 1:
            lines.append("  (to decide, give a kernel without symmetry and sizes that all differ)")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "found": bool(self),
            "conventions": [c.to_dict() for c in self.conventions],
            "tried": self.tried,
        }


def _join(values: tuple[int, ...]) -> str:
    return "x".join(map(str, values))
