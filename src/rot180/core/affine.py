"""Affine index maps: which cell of an operand the loops of a form touch.

`S*p + D*r - A` says: at output position p and tap r, read cell S·p + D·r − A. The text is parsed
once into a `Word`; put the sizes in (`S=2, D=1, A=1`) and it becomes an `Affine` of integers.

Names that begin with a capital are sizes, known when the form is bound; all others are loops.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from rot180.errors import ArgumentError

__all__ = ["Affine", "Word", "parse_axes"]


@dataclass(frozen=True, slots=True)
class Affine:
    """Σ coefficient·loop + constant, in integers.

    Attributes:
        terms: pairs (loop, coefficient), each loop once, coefficients not 0.
        constant: the value where all loops are 0.
    """

    terms: tuple[tuple[str, int], ...]
    constant: int = 0

    def at(self, point: Mapping[str, int]) -> int:
        """The index at one point of the loops."""
        return self.constant + sum(coefficient * point[loop] for loop, coefficient in self.terms)

    def span(self, extents: Mapping[str, int]) -> tuple[int, int]:
        """Lowest and highest index over loops that run from 0 to extent − 1 (each extent ≥ 1)."""
        low = high = self.constant
        for loop, coefficient in self.terms:
            reach = coefficient * (extents[loop] - 1)
            low, high = low + min(reach, 0), high + max(reach, 0)
        return low, high

    def __str__(self) -> str:
        parts = [
            ("" if coefficient == 1 else "-" if coefficient == -1 else f"{coefficient}·") + loop
            for loop, coefficient in self.terms
        ]
        if self.constant or not parts:
            parts.append(str(self.constant))
        return " + ".join(parts).replace("+ -", "- ")


@dataclass(frozen=True, slots=True)
class Word:
    """A parsed index expression whose sizes are still names: Σ ± size·…·loop.

    Attributes:
        terms: (sign or number, names of sizes, loop or None).
    """

    terms: tuple[tuple[int, tuple[str, ...], str | None], ...]

    def bind(self, sizes: Mapping[str, int]) -> Affine:
        """Put the sizes in."""
        constant, coefficients = 0, dict[str, int]()
        for number, names, loop in self.terms:
            for name in names:
                number *= sizes[name]
            if loop is None:
                constant += number
            else:
                coefficients[loop] = coefficients.get(loop, 0) + number
        kept = tuple((loop, value) for loop, value in coefficients.items() if value)
        return Affine(kept, constant)


_NAME = re.compile(r"[A-Za-z_]\w*")
_TERM = re.compile(r"([+-]?)((?:\w+\*)*\w+)")


def _parse_word(text: str) -> Word:
    terms = []
    end = 0
    for match in _TERM.finditer(text):
        if match.start() != end:
            break
        end = match.end()
        number, names, loop = (-1 if match[1] == "-" else 1), [], None
        for factor in match[2].split("*"):
            if factor.isdigit():
                number *= int(factor)
            elif factor[0].isupper():
                names.append(factor)
            elif loop is None:
                loop = factor
            else:
                raise ArgumentError(f"index {text!r} multiplies two loops, {loop} and {factor}")
        terms.append((number, tuple(names), loop))
    if end != len(text) or not terms:
        raise ArgumentError(f"index {text!r} is not affine", expected="terms such as S*p+D*r-A")
    return Word(tuple(terms))


@functools.cache
def parse_axes(text: str, spatial: int) -> tuple[Word, ...]:
    """Parse one operand's axes: words between blanks; `{...}` stands for every spatial axis.

    >>> [str(word.bind({"S0": 2, "A0": 1})) for word in parse_axes("n {S*p-A}", 1)]
    ['n', '2·p0 - 1']
    """
    words: list[str] = []
    for word in text.split():
        if word.startswith("{"):
            words += [_NAME.sub(rf"\g<0>{i}", word[1:-1]) for i in range(spatial)]
        else:
            words.append(word)
    return tuple(_parse_word(word) for word in words)
