"""The command line: every verb as text and as JSON, and bad input in one line with exit 2."""

import gc
import json
import subprocess
import sys

import numpy as np
import pytest

from rot180.cli import main
from rot180.data import digits
from rot180.train import RunFolder


@pytest.fixture
def rot180(capsys):
    """Run a command line in this process: (exit code, standard output, standard error)."""

    def run(*words):
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        return left.value.code, out, err

    return run


@pytest.fixture
def no_pictures(monkeypatch):
    """As if matplotlib were not installed, which also saves the time of drawing."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)


@pytest.fixture(scope="module")
def run_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "run"
    with pytest.raises(SystemExit) as left:
        main(["train", "digits", "--epochs", "2", "-o", str(path), "--quiet"])
    assert left.value.code == 0
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    image = pytest.importorskip("PIL.Image")
    folder = tmp_path_factory.mktemp("pictures")
    test = digits("test")
    for index in range(6):
        grey = image.fromarray(test.images[index, 0])
        grey.resize((50, 70)).save(folder / f"{index}-{test.classes[test.labels[index]]}.png")
    return folder


def complains(result, *parts):
    code, out, err = result
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    for part in parts:
        assert part in err
    return err


# ------------------------------------------------------------------ train and what follows


def test_the_run_folder_is_complete(run_path):
    names = {entry.name for entry in run_path.iterdir()}
    plain = {"config.toml", "metrics.jsonl", "model.safetensors", "checkpoint", "report.html"}
    assert plain <= names
    pytest.importorskip("matplotlib")
    assert names == plain | {"curves.png", "confusion.png", "mistakes.png"}
    for name in ("curves", "confusion", "mistakes"):
        assert (run_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    page = (run_path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 6
    for outside in ("http:", "<script", 'src="/', "url("):
        assert outside not in page.replace("https://doi.org", "")


@pytest.mark.usefixtures("no_pictures")
def test_train_text(rot180, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        code, out, _ = rot180("train", "digits", "--epochs", 2, "--limit-train-batches", 4)
        lines = out.splitlines()
        assert code == 0
        assert len(lines) == 4
        assert lines[0].startswith("epoch 1/2  loss")
        assert lines[2].startswith("test accuracy ")
        assert lines[3].startswith(
            f"run folder runs/digits-cnn-{number}".replace("/", lines[3][15])
        )


@pytest.mark.usefixtures("no_pictures")
def test_train_json_and_settings(rot180, tmp_path):
    config = tmp_path / "mine.toml"
    config.write_text('[optim]\nname = "sgd"\nlr = 0.5\n[train]\nepochs = 7\n', encoding="utf-8")
    code, out, err = rot180(
        *("train", "digits", "--config", config, "--set", "optim.lr=0.25", "--set"),
        *("schedule.name=none", "--epochs", 1, "--batch-size", 100, "--limit-train-batches", 0.3),
        *("-o", tmp_path / "run", "--json", "--seed", 4),
    )
    assert code == 0
    found = json.loads(out)
    assert err.startswith("epoch 1/1")
    assert found["epochs"] == 1
    assert found["history"][0]["lr"] == 0.25
    assert found["history"][0]["step"] == 4
    run = RunFolder.open(tmp_path / "run")
    assert run.config["optim"]["name"] == "sgd"
    assert run.config["train"]["seed"] == 4
    assert run.config["data"]["batch_size"] == 100


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("options", [["--fast-dev-run"], ["--overfit-batches", 1]])
def test_quick_modes(rot180, tmp_path, options):
    arguments = ["train", "digits", "--epochs", 2, "-o", tmp_path / "run", *options, "--json"]
    code, out, _ = rot180(*arguments)
    assert code == 0
    assert json.loads(out)["history"][-1]["step"] == (1 if "--fast-dev-run" in options else 2)


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    [
        ("adam", "cosine"),
        ("rmsprop", "step"),
        ("adagrad", "none"),
        ("adagrad", "onecycle"),
        ("sgd", "plateau"),
    ],
)
def test_every_optimiser_and_schedule(rot180, tmp_path, optimizer, schedule):
    code, _, err = rot180(
        *("train", "digits", "--epochs", 2, "--limit-train-batches", 3, "--quiet"),
        *("--optimizer", optimizer, "--schedule", schedule, "-o", tmp_path / "run"),
    )
    assert code == 0
    assert err.count("\n") == 1  # only that there are no pictures


@pytest.mark.usefixtures("no_pictures")
def test_a_users_model_in_a_file_or_package(rot180, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "from rot180 import nn\n"
        "def small(num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    for index, name in enumerate((f"{tmp_path / 'mine.py'}:small", "mine:small")):
        code, out, _ = rot180(
            "train", "digits", "--model", name, "--epochs", 3, "-o", f"run-{index}", "--json"
        )
        assert code == 0
        assert json.loads(out)["parameters"] == 650
    complains(rot180("train", "digits", "--model", "mine:large"), "no function 'large'")
    complains(rot180("train", "digits", "--model", "gone.py:f"), "no such file")
    complains(rot180("train", "digits", "--model", "gone.away:f"), "ModuleNotFoundError")
    (tmp_path / "odd.py").write_text("def f():\n    return 3\ndef g():\n    1 / 0\n")
    complains(rot180("train", "digits", "--model", "odd.py:f"), "a Module", "int")
    complains(rot180("train", "digits", "--model", "odd.py:g"), "ZeroDivisionError")


@pytest.mark.usefixtures("no_pictures")
def test_a_folder_of_pictures(rot180, tmp_path):
    image = pytest.importorskip("PIL.Image")
    source = digits("train")
    for index in range(60):
        label = int(source.labels[index]) % 2
        (tmp_path / "odd or even" / str(label)).mkdir(parents=True, exist_ok=True)
        path = tmp_path / "odd or even" / str(label) / f"{index}.png"
        image.fromarray(source.images[index, 0]).save(path)
    code, out, _ = rot180(
        *("train", tmp_path / "odd or even", "--size", 12, "--epochs", 1),
        *("-o", tmp_path / "run", "--json"),
    )
    assert code == 0
    assert json.loads(out)["history"][0]["step"] >= 1
    code, out, _ = rot180("eval", tmp_path / "run", "--json")
    assert code == 0
    assert json.loads(out)["classes"].keys() == {"0", "1"}


@pytest.mark.usefixtures("no_pictures")
def test_images_are_scaled_to_the_models_size(rot180, tmp_path):
    arguments = ("train", "digits", "--model", "lenet5", "--fast-dev-run", "--json", "-o")
    complains(rot180(*arguments, tmp_path / "small"), "lenet5", "(4 + 0 + 0 - 5) // 1 + 1 = 0")
    assert not (tmp_path / "small").exists()
    code, out, _ = rot180(*arguments, tmp_path / "run", "--size", 28)
    assert code == 0
    assert json.loads(out)["parameters"] == 61706
    code, out, _ = rot180("eval", tmp_path / "run", "--json")
    assert code == 0
    assert json.loads(out)["images"] == 360


def test_training_leaves_the_collection_of_garbage_as_it_was(rot180, tmp_path):
    before = gc.get_threshold()
    for words in ((), ("--set", "optim.name=none")):
        rot180("train", "digits", "--fast-dev-run", "--quiet", "-o", tmp_path / "run", *words)
        assert gc.get_threshold() == before


def test_eval(rot180, run_path):
    code, out, _ = rot180("eval", run_path, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["images"] == 360
    assert np.trace(found["confusion"]) == round(found["accuracy"] * 360)
    last = RunFolder.open(run_path).records("epoch")[-1]
    assert found["accuracy"] == last["val_accuracy"]
    assert found["loss"] == last["val_loss"]
    code, out, _ = rot180("eval", run_path, "--split", "train")
    assert code == 0
    assert "1437 images" in out
    assert len(out.splitlines()) == 11


def test_predict(rot180, run_path, pictures):
    files = sorted(pictures.glob("*.png"))
    code, out, _ = rot180("predict", run_path, *files, "--json")
    assert code == 0
    found = json.loads(out)["predictions"]
    assert (
        sum(result["class"] == file.stem[-1] for result, file in zip(found, files, strict=True))
        >= 4
    )
    for result in found:
        assert sum(result["probabilities"].values()) == pytest.approx(1)
    code, out, _ = rot180("predict", run_path, *files)
    assert code == 0
    assert len(out.splitlines()) == 6
    assert rot180("predict", run_path, "--invert", files[0])[1] != out.splitlines()[0] + "\n"


def test_resume_by_command(rot180, tmp_path, run_path):
    code, out, _ = rot180("train", "--resume", run_path, "--json")
    assert code == 0
    assert json.loads(out)["epochs"] == 2


# ------------------------------------------------------------------ the other verbs


def test_shape(rot180):
    code, out, _ = rot180(
        *("shape", "conv2d", "--input", "28x28", "--kernel-size", 5, "--stride", 2),
        *("--padding", 1, "--then", "max_pool2d -k 2"),
    )
    assert code == 0
    assert "conv2d  28x28 -> 13x13" in out
    assert "(28 + 1 + 1 - 5) // 2 + 1 = 13" in out
    assert "max_pool2d  13x13 -> 6x6" in out
    assert "7x7 input cells, every 4x4, from (-1, -1)" in out
    code, out, _ = rot180("shape", "conv2d", "-i", "5", "-k", 4, "-s", 3, "-p", 2, "--json")
    layer = json.loads(out)["layers"][0]
    assert code == 0
    assert layer["output"] == [2, 2]
    assert layer["remainder"] == [2, 2]
    assert layer["input_gradient"] == {"dilate": [3, 3], "padding": [[1, 3], [1, 3]]}
    assert layer["weight_gradient"]["surplus"] == [2, 2]


@pytest.mark.parametrize(
    ("words", "size"),
    [
        ("conv1d -i 10 -k 3 -p same", [10]),
        ("conv3d -i 4x5x6 -k 1x2x3", [4, 4, 4]),
        ("conv2d -i 6x6 -k 2 -p 1.0x0.1", [6, 6]),
        ("avg_pool2d -i 7 -k 2 --ceil-mode", [4, 4]),
        ("conv_transpose2d -i 4x4 -k 3 -s 2 -p 1 --output-padding 1", [8, 8]),
        ("conv2d -i 8 -k 3 -s 2 -p same_upper", [4, 4]),
    ],
)
def test_shape_of_other_layers(rot180, words, size):
    code, out, _ = rot180("shape", *words.split(), "--json")
    assert code == 0
    assert json.loads(out)["layers"][0]["output"] == size
    assert rot180("shape", *words.split())[0] == 0


def test_shape_complains(rot180):
    complains(rot180("shape", "conv2d", "-i", "3x3", "-k", 5), "(3 + 0 + 0 - 5) // 1 + 1 = -1")
    complains(rot180("shape", "conv4d", "-i", "3x3", "-k", 1), "unknown operation 'conv4d'")
    complains(rot180("shape", "conv2d", "-i", "3x3x3", "-k", 1), "2 sizes")
    complains(rot180("shape", "conv2d", "-i", "3", "-k", "x"), "'x' is no size")
    complains(rot180("shape", "conv2d", "-i", "3", "-k", 1, "--ceil-mode"), "does not apply")
    complains(rot180("shape", "conv2d", "-i", "9", "-k", 1, "-p", "some"), "some")
    complains(rot180("shape", "conv2d", "-i", "9", "-k", 1, "--then", "max_pool2d -q 3"), "-q")
    complains(rot180("shape", "conv2d", "-i", "9", "-k", 1, "--then", '"'), "--then")


def test_summary(rot180):
    code, out, _ = rot180("summary", "--model", "lenet5", "--input", "1x28x28")
    assert code == 0
    assert "61,706" in out or "61706" in out
    code, out, _ = rot180("summary", "--model", "cnn", "--input", "3x32x32", "--json")
    assert code == 0
    json.loads(out)
    complains(rot180("summary", "--input", "28x28"), "channels, rows and columns")


def test_data_list(rot180):
    code, out, _ = rot180("data", "list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        "digits",
        "mnist",
        "fashion_mnist",
        "cifar10",
    ]
    code, out, _ = rot180("data", "list", "--json")
    assert json.loads(out)["digits"]["embedded"] is True
    complains(rot180("data", "fetch", "digits"), "digits")


def test_doctor(rot180):
    code, out, _ = rot180("doctor")
    assert code == 0
    for word in ("Python", "BLAS", "numpy", "cores", "matplotlib", "safetensors"):
        assert word in out
    code, out, _ = rot180("doctor", "--json")
    assert code == 0
    assert json.loads(out)["core"]["numpy"] == np.__version__


def test_version_and_help(rot180):
    code, out, _ = rot180("--version")
    assert code == 0
    assert f"NumPy {np.__version__}" in out
    code, out, _ = rot180("--help")
    assert code == 0
    for verb in ("train", "eval", "predict", "summary", "shape", "data", "doctor"):
        assert verb in out
        assert rot180(verb, "--help")[0] == 0


# ------------------------------------------------------------------ bad input


def test_wrong_use(rot180, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    complains(rot180("tarin"), "No such command 'tarin'")
    complains(rot180("train", "digits", "--epohcs", 3), "No such option", "--epohcs")
    complains(rot180("train"), "rot180 train digits")
    complains(rot180("train", "digits", "--epochs", 0), "--epochs")
    complains(rot180("train", "digits", "--model", "resnet21"), "unknown model", "resnet20")
    complains(rot180("train", "no-such-data"), "no-such-data", "digits")
    complains(rot180("train", "digits", "--optimizer", "magic"), "unknown optimiser 'magic'")
    complains(rot180("train", "digits", "--schedule", "magic"), "unknown schedule 'magic'")
    complains(rot180("train", "digits", "--set", "lr=1"), "table.key=value")
    complains(rot180("train", "digits", "--set", "optim.lrr=1"), "no setting 'optim.lrr'", "'lr'")
    complains(rot180("train", "digits", "--set", "optim.lr=fast"), "optim.lr", "float", "'fast'")
    complains(rot180("train", "digits", "--set", "speed.lr=1"), "no table 'speed'")
    complains(rot180("train", "digits", "--config", "gone.toml"), "gone.toml")
    complains(rot180("train", "digits", "--resume", "x"), "continues a run as it is")
    complains(rot180("predict", "somewhere"), "IMAGES")
    assert not list(tmp_path.iterdir()), "wrong use leaves nothing behind"


def test_no_run_folder(rot180, tmp_path):
    for words in (
        ("eval", tmp_path),
        ("predict", tmp_path, "x.png"),
        ("train", "--resume", tmp_path),
    ):
        complains(rot180(*words), "is no run folder")
    (tmp_path / "config.toml").write_text("a = [", encoding="utf-8")
    complains(rot180("eval", tmp_path), "no valid TOML")
    (tmp_path / "config.toml").write_text("a = 3", encoding="utf-8")
    complains(rot180("eval", tmp_path), "not that of a run made by rot180 train")
    complains(rot180("train", "--resume", tmp_path), "not that of a run made by rot180 train")
    (tmp_path / "config.toml").write_text('[data]\nname = "digits"\n', encoding="utf-8")
    complains(rot180("eval", tmp_path), "input")
    complains(rot180("train", "digits", "-o", tmp_path), "is there already")


def test_damaged_files(rot180, run_path, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.toml").write_bytes((run_path / "config.toml").read_bytes())
    complains(rot180("eval", run), "model.safetensors")
    weights = (run_path / "model.safetensors").read_bytes()
    (run / "model.safetensors").write_bytes(weights[:-8])
    complains(rot180("eval", run), "model.safetensors")
    (run / "model.safetensors").write_bytes(weights)
    assert rot180("eval", run)[0] == 0
    complains(rot180("predict", run, tmp_path / "gone.png"), "gone.png")
    (tmp_path / "text.png").write_text("no picture")
    complains(rot180("predict", run, tmp_path / "text.png"), "text.png")
    other = (run / "config.toml").read_text(encoding="utf-8").replace('"cnn"', '"vgg6"')
    (run / "config.toml").write_text(other, encoding="utf-8")
    complains(rot180("eval", run))


def test_wrong_image_sizes(rot180, tmp_path, run_path):
    (tmp_path / "flat.py").write_text(
        "from rot180 import nn\n"
        "def f():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(63, 10))\n"
    )
    arguments = ("--model", f"{tmp_path / 'flat.py'}:f", "-o", tmp_path / "run")
    complains(rot180("train", "digits", *arguments), "epoch 1, batch 1", "63", "64")


def test_a_loss_that_explodes(rot180, tmp_path):
    words = ("--lr", "1e9", "--optimizer", "sgd", "--schedule", "none", "-o", tmp_path / "run")
    line = complains(rot180("train", "digits", "--quiet", *words), "epoch 1, batch ")
    assert "lower the learning rate (now 1e+09)" in line


@pytest.mark.usefixtures("no_pictures")
def test_a_missing_extra_does_not_stop_the_training(rot180, tmp_path, monkeypatch):
    run = tmp_path / "run"
    code, _, err = rot180("train", "digits", "--fast-dev-run", "-o", run)
    assert code == 0
    assert err.count("\n") == 1
    assert 'pip install "rot180[plot]"' in err
    assert not (run / "curves.png").exists()
    assert "rot180[plot]" in (run / "report.html").read_text(encoding="utf-8")
    monkeypatch.setitem(sys.modules, "PIL", None)
    complains(rot180("predict", run, "x.png"), "rot180[data]")


def test_help_is_quick_and_imports_no_numpy():
    program = (
        "import sys\nfrom rot180.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "assert 'rot180.train' not in sys.modules\nassert 'matplotlib' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
