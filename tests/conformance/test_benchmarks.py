"""The benchmarks run, and their sides do the same work: small here, whole in `benchmarks/`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
sys.path.append(str(Path(__file__).resolve().parents[2]))  # the benchmarks are no package

from benchmarks import ours, theirs
from benchmarks.convs import SHAPES, summary
from benchmarks.networks import INPUTS
from benchmarks.turns import Side, Worker, ratio

from rot180.train import recipe

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def weights(name: str) -> dict[str, np.ndarray]:
    return {key: t.numpy().copy() for key, t in ours.network(name).state_dict().items()}


@pytest.mark.parametrize("name", INPUTS)
def test_both_sides_train_the_same_network(name: str) -> None:
    given = weights(name)
    (mine, _), (yours, _) = (side.training(name, 2, weights=given) for side in (ours, theirs))
    losses = np.array([[mine(), yours()] for _ in range(3)])
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=2e-5)


@pytest.mark.parametrize("name", ["lenet5", "resnet20"])
def test_both_sides_predict_the_same(name: str) -> None:
    given = weights(name)
    (mine, _), (yours, _) = (side.inference(name, 2, weights=given) for side in (ours, theirs))
    np.testing.assert_allclose(mine(), yours(), atol=1e-4)


JAX = """
import sys, numpy as np
from benchmarks import theirs_jax
weights = dict(np.load(sys.argv[2]))
step, _ = theirs_jax.training(sys.argv[1], 2, weights)
print([step() for _ in range(3)])
"""


@pytest.mark.parametrize("name", ["mnist3", "resnet20"])
def test_jax_trains_the_same_network(name: str, tmp_path: Path) -> None:
    """In a process of its own: JAX warns of every fork that comes after it."""
    import importlib.util

    if importlib.util.find_spec("jax") is None:
        pytest.skip("JAX is not installed")
    given = weights(name)
    np.savez(tmp_path / "weights.npz", **given)
    found = json.loads(run("-c", JAX, name, str(tmp_path / "weights.npz")))
    step, _ = ours.training(name, 2, weights=given)
    np.testing.assert_allclose([step() for _ in range(3)], found, rtol=2e-5)


@pytest.mark.parametrize("batch", [3, 16, 40])
def test_a_plan_without_its_edges_does_the_work_again_and_again(batch: int) -> None:
    """The weight gradient lies outside of the arena, so it can be seen."""
    shape: dict[str, Any] = {"channels": 3, "filters": 5, "size": 9, "kernel": 3, "stride": 2}
    work, times = ours.convolution("dw", batch, threads=2, times=4, **shape)
    bare = work.__self__  # type: ignore[attr-defined]
    bare.outputs["z"][...] = np.nan
    work()
    titles = [row.title for row in bare.plan.rows]
    assert len(titles) % times == 0
    assert not any("pack" in title for title in titles)
    theirs_dw = theirs.convolution("dw", batch, **shape)[0]()[1].numpy()  # type: ignore[index]
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal(s).astype(np.float32) for s in ((batch, 3, 9, 9), (batch, 5, 4, 4)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))[:, :, ::2, ::2]
    wanted = np.einsum("ncpqrs,nkpq->kcrs", windows, g)
    np.testing.assert_allclose(bare.outputs["z"], wanted, rtol=1e-4, atol=1e-4)
    assert theirs_dw.shape == wanted.shape


def test_steps_are_compared_kept_and_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    command = ["-m", "benchmarks.compare", "--quick", "--networks", "lenet5", "--batches", "2"]
    said = run(*command, "--variants", "eager", "channels_last", "--output", str(tmp_path))
    kept = json.loads((tmp_path / "training.json").read_text())
    (cell,) = kept["cells"]
    assert set(cell["seconds"]) == {"rot180", "eager", "channels_last"}
    assert cell["best"] != "rot180"
    assert cell["ratio"] > 0
    assert min(cell["peak_bytes"].values()) > 2**20
    assert not cell["failed"]
    assert f"| lenet5 | 2 | {cell['seconds']['rot180'] * 1e3:.3g} ms |" in said
    assert (tmp_path / "training.png").stat().st_size > 1000


def test_convolutions_are_compared() -> None:
    said = run("-m", "benchmarks.convs", "--quick", "--classes", "first", "--batch", "2")
    assert "| first | CIFAR | 3→16 3×3, 32² |" in said
    assert "| first | **" in said


def test_a_side_that_cannot_do_it_says_why() -> None:
    worker = Worker(Side("PyTorch", "benchmarks.theirs"), 1)
    with pytest.raises(RuntimeError, match="PyTorch: KeyError: 'lenet6'"):
        worker.make("training", name="lenet6", batch=1)
    assert worker.fault
    worker.close()


def test_ratios_are_of_neighbouring_rounds() -> None:
    assert ratio([2, 8, 6], [1, 2, 2]) == (3.0, 2.5, 3.5)


def test_summary_is_the_geometric_mean() -> None:
    cells = [
        {"class": "1x1", "ratio": r, "what": "dx", "network": "n", "shape": s}
        for r, s in ((4.0, "a"), (0.25, "b"))
    ]
    assert "| 1x1 | **1.00** | 1 | 0.25 | 0.8 | dx of n's b |" in summary(cells)


def test_products_of_shapes() -> None:
    (stem,) = SHAPES["first"]["ResNet-50"]
    assert stem.products(1) == 64 * 3 * 49 * 112**2


def test_crops_of_the_torch_program_are_windows_of_the_image() -> None:
    import torch
    from benchmarks.torch_program import Images

    from rot180.data import ImageSet

    pixels = np.arange(1, 26, dtype=np.uint8).reshape(1, 1, 5, 5)
    images = Images(ImageSet(pixels, np.zeros(1, int), ("a",), "one"), 2, (0.0,), (1 / 255,))
    padded = np.pad(pixels[0, 0], 2)
    windows = {padded[i : i + 5, j : j + 5].tobytes() for i in range(5) for j in range(5)}
    mirrored = {padded[i : i + 5, j : j + 5][:, ::-1].tobytes() for i in range(5) for j in range(5)}
    seen = images.augmented(torch.zeros(200, dtype=torch.long), 0.5)
    assert seen.is_contiguous(memory_format=torch.channels_last)
    found = {np.rint(one[0].numpy()).astype(np.uint8).tobytes() for one in seen}
    assert found <= windows | mirrored
    assert found & windows
    assert found & mirrored
    assert not found & windows & mirrored


def test_the_torch_program_refuses_what_it_does_not_do() -> None:
    from benchmarks.torch_program import train

    config = recipe("digits")  # turns its images
    with pytest.raises(ValueError, match="does not do: rotate"):
        train(Path(), config, compiled=False)
