"""`report.html`: one self-contained page about a run, and the pictures beside it."""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180._version import __version__
from rot180.errors import MissingExtraError
from rot180.interop import write_atomically
from rot180.train.evaluation import probabilities
from rot180.train.figures import confusion_png, curves_png, mistakes_png
from rot180.train.metrics import ConfusionMatrix
from rot180.train.report_style import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from rot180.train.run import RunFolder

__all__ = ["write_report"]

_SHEET = 24  # pictures on the sheet of mistakes


def write_report(
    run: RunFolder,
    scores: NDArray[Any],
    labels: NDArray[np.int64],
    images: NDArray[np.uint8],
    classes: Sequence[str],
    *,
    summary: str = "",
    attribution: str = "",
) -> str:
    """Write `curves.png`, `confusion.png`, `mistakes.png` and `report.html` into a run folder.

    Args:
        run: the run; its config and epoch records are shown.
        scores: (N, classes) logits of the validation images.
        labels: (N,) their classes.
        images: (N, C, H, W) the validation images as they are, uint8.
        classes: names of the classes.
        summary: the model's table, as text.
        attribution: of the data, shown at the foot.

    Returns:
        "" or one line: which extra is missing for the pictures (the report comes without them).

    Raises:
        DataError: a file cannot be written.
    """
    matrix = ConfusionMatrix(len(classes))
    matrix.update(scores.argmax(axis=1), labels)
    chosen, captions, title = _worst(scores, labels, classes)
    records = run.records("epoch")
    drawings: dict[str, tuple[str, Callable[[bool], bytes]]] = {
        "curves": (
            "Loss, error rate and learning rate over the epochs",
            lambda dark: curves_png(records, run.records("step"), dark=dark),
        ),
        "confusion": (
            "Confusion matrix, true classes down and predicted ones across",
            lambda dark: confusion_png(matrix.counts, classes, dark=dark),
        ),
        "mistakes": (
            title,
            lambda dark: mistakes_png(images[chosen], captions, title, dark=dark),
        ),
    }
    pictures: dict[str, str] = {}
    missing = ""
    try:
        for name, (text, draw) in drawings.items():
            light = draw(False)
            write_atomically(run.path / f"{name}.png", light, lasting=False)
            pictures[name] = _picture(text, light, draw(True))
    except MissingExtraError as error:
        missing = str(error)
    page = PAGE.format(
        title=_escape(_title(run.config)),
        tiles=_tiles(run.config, records, matrix, scores, labels),
        curves=pictures.get("curves", _absent(missing)),
        confusion=pictures.get("confusion", _absent(missing)),
        mistakes=pictures.get("mistakes", _absent(missing)),
        classes=_class_table(matrix, classes),
        config=_config_table(run.config),
        summary=f"<pre>{_escape(summary)}</pre>" if summary else "",
        attribution=_escape(f"Data: {attribution}. " if attribution else ""),
        version=_escape(__version__),
    )
    write_atomically(run.path / "report.html", page.encode())
    return missing


def _worst(
    scores: NDArray[Any], labels: NDArray[np.int64], classes: Sequence[str]
) -> tuple[NDArray[np.int64], list[tuple[str, str]], str]:
    """The images to show: the wrong, surest first; below half a sheet also the least sure."""
    shares = probabilities(scores.astype(np.float64))
    guesses = scores.argmax(axis=1)
    true_share = shares[np.arange(len(labels)), labels]
    right = guesses == labels
    wrong = int(np.count_nonzero(~right))
    chosen = np.lexsort((true_share, right))[: min(max(wrong, _SHEET // 2), _SHEET)]
    title = f"{wrong:,} of {len(labels):,} wrong"
    if not wrong:
        title = f"None of {len(labels):,} wrong: the least certain"
    elif wrong > _SHEET:
        title += f": the worst {_SHEET}"
    else:
        title += ", the worst first" + ("; then the least certain" if wrong < len(chosen) else "")
    captions = [
        (
            f"true {classes[labels[i]]}",
            f"said {classes[guesses[i]]}, {100 * shares[i, guesses[i]]:.0f} %",
        )
        for i in chosen
    ]
    return chosen, captions, title


def _escape(text: object) -> str:
    return html.escape(str(text))


def _title(config: dict[str, Any]) -> str:
    names = [config.get(table, {}).get("name", "") for table in ("data", "model")]
    return " · ".join(str(name) for name in names if name) or "a run"


def _picture(text: str, light: bytes, dark: bytes) -> str:
    day, night = (base64.b64encode(blob).decode() for blob in (light, dark))
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" '
        f'srcset="data:image/png;base64,{night}">'
        f'<img src="data:image/png;base64,{day}" alt="{_escape(text)}"></picture>'
    )


def _absent(missing: str) -> str:
    return f'<p class="soft">{_escape(missing)}</p>'


def _tiles(
    config: dict[str, Any],
    records: list[dict[str, Any]],
    matrix: ConfusionMatrix,
    scores: NDArray[Any],
    labels: NDArray[np.int64],
) -> str:
    shares = probabilities(scores.astype(np.float64))
    loss = -np.log(np.maximum(shares[np.arange(len(labels)), labels], 1e-300)).mean()
    total = int(matrix.counts.sum())
    tiles = [
        (f"{100 * matrix.accuracy():.2f} %", "accuracy on the test images"),
        (f"{total - int(np.trace(matrix.counts)):,}", f"of {total:,} images taken for others"),
        (f"{loss:.4f}", "loss on the test images"),
        (str(len(records)), "epochs"),
        (f"{sum(record.get('seconds') or 0 for record in records):.1f} s", "training time"),
    ]
    seed = config.get("train", {}).get("seed")
    if seed is not None:
        tiles.append((str(seed), "seed"))
    return "".join(
        f'<div class="tile"><b>{_escape(value)}</b><span>{_escape(name)}</span></div>'
        for value, name in tiles
    )


def _class_table(matrix: ConfusionMatrix, classes: Sequence[str]) -> str:
    rows = []
    counts, recall, precision = matrix.counts, matrix.recall(), matrix.precision()
    for index, name in enumerate(classes):
        others = counts[index].copy()
        others[index] = 0
        taken = ", ".join(
            f"{_escape(classes[j])} ({others[j]})" for j in np.argsort(-others)[:3] if others[j]
        )
        rows.append(
            f"<tr><th>{_escape(name)}</th><td>{counts[index].sum()}</td>"
            f"{_share_cell(recall[index])}{_share_cell(precision[index])}"
            f'<td class="left">{taken or "nothing"}</td></tr>'
        )
    return "".join(rows)


def _share_cell(share: float) -> str:
    if np.isnan(share):
        return "<td>none</td>"
    return f'<td>{100 * share:.1f} %<i style="width:{100 * share:.1f}%"></i></td>'


def _config_table(config: dict[str, Any]) -> str:
    tables = []
    for name, values in config.items():
        if not isinstance(values, dict):
            values = {"": values}
        rows = [
            f"<tr><th>{_escape(key)}</th><td>{_escape(_plain(value))}</td></tr>"
            for key, value in values.items()
        ]
        tables.append(
            f"<table><caption>{_escape(name)}</caption><tbody>{''.join(rows)}</tbody></table>"
        )
    return "".join(tables)


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_plain(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
