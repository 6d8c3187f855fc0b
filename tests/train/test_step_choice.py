"""Which way a training runs: compiled, or eager with the reason said; and without llvmlite."""

import io
import subprocess
import sys

import numpy as np
import pytest

import rot180 as rt
from rot180 import nn
from rot180.data import digits
from rot180.errors import TraceError
from rot180.optim import SGD
from rot180.train import Reporter, RunFolder, fit


@pytest.fixture(scope="module")
def few():
    return digits("train").subset(np.arange(70))


def linear():
    rt.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def said(few, model=None, **options):
    stream = io.StringIO()
    history = fit(model or linear(), few, few, epochs=1, progress=Reporter("lines", stream),
                  **options)  # fmt: skip
    return history, stream.getvalue().splitlines()


class OwnWay(SGD):
    def step(self):
        super().step()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"accumulate_grad_batches": 2}, "gradients are added up over several batches"),
        ({"detect_anomaly": True}, "detect_anomaly looks at every operation"),
        ({"optimizer": lambda p: OwnWay(p, lr=0.1)}, "OwnWay moves parameters in its own way"),
    ],
)
def test_what_cannot_be_compiled_is_said_once(few, options, reason):
    _, lines = said(few, **options)
    assert len(lines) == 2
    assert lines[0].startswith("not compiled, for ")
    assert reason in lines[0]


def test_nothing_is_said_where_all_is_as_asked(few, tmp_path):
    pytest.importorskip("llvmlite")
    for eager in (False, True):
        run = tmp_path / str(eager)
        history, lines = said(few, eager=eager, run_folder=run)
        assert len(lines) == 1
        assert history.epochs[0]["step"] == 3  # the last one is smaller
        about = RunFolder.open(run).config["run"]
        assert about["compiled"] is not eager
        assert ("threads" in about) is not eager


def test_compiled_and_eager_training_agree(few):
    pytest.importorskip("llvmlite")
    numbers = []
    for eager in (False, True):
        model = linear()
        history, _ = said(few, model, eager=eager, optimizer=SGD(model.parameters(), lr=0.1))
        numbers.append(history.epochs[0])
    for key in ("train_loss", "val_loss", "grad_norm"):
        assert numbers[0][key] == pytest.approx(numbers[1][key], rel=1e-5)
    assert numbers[0]["val_accuracy"] == numbers[1]["val_accuracy"]


def test_a_model_that_looks_at_values_is_an_error(few):
    pytest.importorskip("llvmlite")

    class Looks(nn.Module):
        def __init__(self):
            self.inner = linear()

        def forward(self, x):
            return self.inner(x) if float(x.mean().item()) > 0 else self.inner(-x)

    with pytest.raises(TraceError, match=r"^epoch 1, batch 1: .*x\.mean\(\).*eager=True") as caught:
        said(few, Looks())
    assert "\n" not in str(caught.value)
    history, _ = said(few, Looks(), eager=True)
    assert history.epochs


WITHOUT = """
import sys, warnings
sys.modules["llvmlite"] = None
import numpy as np
import rot180 as rt
from rot180 import nn, optim
from rot180.data import digits
from rot180.train import evaluate, fit
rt.set_num_threads(2)
few = digits("train").subset(np.arange(70))
model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
fit(model, few, few, epochs=1)
with warnings.catch_warnings(record=True) as found:
    warnings.simplefilter("always")
    for _ in range(2):
        step = rt.compile(model, rt.nn.functional.cross_entropy, optim.SGD(model.parameters(), 0.1))
        x, y = few.images[:8] / np.float32(255), few.labels[:8]
        print(step(x, y) > step(x, y), step.predict(x).shape)
print([str(w.message)[:36] for w in found])
"""


def test_without_llvmlite_everything_runs_and_says_so():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "not compiled, for llvmlite is not installed"
    assert lines[1].startswith("epoch 1/1")
    assert lines[2:4] == ["True (8, 10)"] * 2
    assert lines[4] == "['compile: llvmlite is not installed, ']"


def test_importing_the_root_imports_no_compiler():
    program = "import sys, rot180; rot180.get_num_threads(); print('llvmlite' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "False\n"
