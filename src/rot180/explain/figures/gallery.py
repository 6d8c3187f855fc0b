"""The gallery of the documentation: six windows, each as a figure and two films, made anew.

`python -m rot180.explain.figures docs/pictures/gallery` writes all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rot180.errors import ArgumentError
from rot180.explain.explanation import Explanation
from rot180.explain.figures.film import animate
from rot180.explain.figures.views import figure
from rot180.explain.layers import explainer
from rot180.explain.save import write_whole

__all__ = ["WINDOWS", "write_gallery"]

DOTS = 57

WINDOWS: dict[str, Callable[[], Explanation]] = {
    "plain": lambda: explainer("conv2d")(input=(4, 4), kernel=(3, 3)),
    "padded": lambda: explainer("conv2d")(input=(4, 4), kernel=(3, 3), padding=1),
    "remainder": lambda: explainer("conv2d")(input=(6, 6), kernel=(3, 3), stride=2),
    "dilated": lambda: explainer("conv2d")(input=(5, 5), kernel=(2, 2), dilation=2),
    "transposed": lambda: explainer("conv_transpose2d")(
        input=(3, 3), kernel=(3, 3), stride=2, padding=1, output_padding=1
    ),
    "max_pool": lambda: explainer("max_pool2d")(input=(4, 4), kernel=2),
}
"""The windows by the names of their files."""


def write_gallery(folder: Path, *names: str) -> list[Path]:
    """Write `NAME.png`, `NAME_forward.gif` and `NAME_backward.gif` of every window.

    Args:
        folder: where to; it must exist.
        names: of which windows; of all where none is named.

    Returns:
        The files.

    Raises:
        ArgumentError: no such window.
        MissingExtraError: matplotlib or Pillow is not installed.
    """
    unknown = set(names) - set(WINDOWS)
    if unknown:
        raise ArgumentError(
            f"explain: the gallery has no window {min(unknown)!r}", expected=", ".join(WINDOWS)
        )
    written = []
    for name in names or tuple(WINDOWS):
        e = WINDOWS[name]()
        view = "gather" if "w" in e.values else "scatter"
        for path, write in (
            (folder / f"{name}.png", lambda part, e=e, v=view: figure(e, v).save(part, 90)),
            (folder / f"{name}_forward.gif", lambda part, e=e: animate(e, part, "z", dots=DOTS)),
            (folder / f"{name}_backward.gif", lambda part, e=e: animate(e, part, "dx", dots=DOTS)),
        ):
            write_whole(path, write)
            written.append(path)
    return written
