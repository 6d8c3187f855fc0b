"""The diagnosis table in full: share named, confusions, false alarms, and how long it takes.

python benchmarks/diagnosis.py [inputs for each mistake, 12 by default]
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from diagnosis_table import right_passes, table
from mistaken import CONV_DW, CONV_DX, Given
from rot180 import check

RIGHT_PASSES = 1000


def seconds() -> list[float]:
    """One diagnosis of every mistake of a convolution, 32 channels, 16×16, batch 8, float32."""
    rng = np.random.default_rng(0)
    shapes = {"x": (8, 32, 16, 16), "w": (32, 32, 3, 3), "g": (8, 32, 16, 16)}
    arrays = {n: rng.standard_normal(shape).astype(np.float32) for n, shape in shapes.items()}
    given = Given(arrays, {"padding": 1})
    found = []
    for gradient, entries in (("dx", CONV_DX), ("dw", CONV_DW)):
        for make in entries.values():
            wrong = make(given)
            if wrong is not None:
                start = time.perf_counter()
                made = {gradient: wrong.astype(np.float32)}
                check.diagnose("conv2d", **arrays, padding=1, **made)
                found.append(time.perf_counter() - start)
    return found


def main() -> None:
    start = time.perf_counter()
    print(table(int(sys.argv[1]) if len(sys.argv) > 1 else 12))
    print(f"in {time.perf_counter() - start:.0f} s")
    for dtype in (np.float64, np.float32):
        alarms = [(op, d.name) for op, d in right_passes(RIGHT_PASSES, dtype) if not d]
        print(
            f"false alarms, {np.dtype(dtype)}: {len(alarms)} of {RIGHT_PASSES} {alarms[:5] or ''}"
        )
    taken = seconds()
    print(
        f"32 channels, 16×16, batch 8: median {statistics.median(taken):.2f} s, "
        f"longest {max(taken):.2f} s of {len(taken)}"
    )


if __name__ == "__main__":
    main()
