"""`rot180 check`, `rot180 diagnose` and `rot180 identify`: gradients of somebody's code."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rot180.cli.options import as_json, emit_json, sizes
from rot180.errors import ArgumentError, DataError, Rot180Error

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from rot180.check import Mistake

__all__ = ["check", "diagnose", "identify"]

_OUT = click.Path(path_type=Path, dir_okay=False)


def load_code(name: str) -> Any:
    """What `package.module:function` or `file.py:Class` names.

    Raises:
        DataError: there is no such file, module or name in it, or it cannot be imported.
    """
    place, colon, attribute = name.rpartition(":")
    if not colon or not place or not attribute:
        raise ArgumentError(
            f"code {name!r}", expected="package.module:function or file.py:Class", got="no colon"
        )
    try:
        module = _module_of_file(Path(place)) if place.endswith(".py") else _module(place)
    except DataError:
        raise
    except Exception as error:
        line = str(error).splitlines()[0] if str(error) else ""
        raise DataError(f"{place} cannot be imported: {type(error).__name__}: {line}") from error
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise DataError(f"{place} has no {attribute!r}")
        found = getattr(found, part)
    return found


def _module(name: str) -> Any:
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


def _module_of_file(path: Path) -> Any:
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise DataError(f"{path}: no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


def _code(name: str) -> Any:
    """Code; `file.py:forward,backward` is a pair of functions."""
    first, comma, second = name.partition(",")
    if not comma:
        return load_code(name)
    place = first.rpartition(":")[0]
    return load_code(first), load_code(second if ":" in second else f"{place}:{second}")


def _guarded(call: Callable[[], Any]) -> Any:
    """Run somebody's code; what it raises becomes one line that says where."""
    try:
        return call()
    except Rot180Error:
        raise
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__}: {error}"
        raise DataError(
            f"your code raised {what} ({frame.filename}, line {frame.lineno})"
        ) from error


def _option(text: str) -> Any:
    """3, 3x3, 1.2x0.1 (before.after pairs), true, 0.5, or a word."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if re.fullmatch(r"-?\d+([x,]-?\d+)+", text):
        return tuple(int(part) for part in re.split("[x,]", text))
    if re.fullmatch(r"\d+\.\d+([x,]\d+\.\d+)+", text):
        pairs = (part.split(".") for part in re.split("[x,]", text))
        return tuple((int(before), int(after)) for before, after in pairs)
    try:
        return float(text)
    except ValueError:
        return text


def _named(pairs: tuple[str, ...]) -> dict[str, Any]:
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.UsageError(f"--set {pair!r}: name=value, as in stride=2")
        found[name.replace("-", "_")] = _option(value)
    return found


_FOR_WINDOWS = (
    click.option("-k", "--kernel-size", "kernel_size", help="Of a pool: 3 or 3x2."),
    click.option("-s", "--stride", help="2 or 2x1."),
    click.option("-p", "--padding", help="1, 1x0, 1.2x0.1 (before.after) or a word such as full."),
    click.option("-d", "--dilation", help="1 is none."),
    click.option("-g", "--groups", help="Of the channels."),
    click.option("--mode", help="correlation or convolution."),
    click.option("--output-padding", "output_padding", help="conv_transpose only."),
    click.option("--set", "more", multiple=True, help="Any other option, as in training=false."),
)


def _window_options(command: Any) -> Any:
    for option in reversed(_FOR_WINDOWS):
        command = option(command)
    return command


def _arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (ValueError, OSError, EOFError, AttributeError) as error:
        raise DataError(f"{path}: no .npz with arrays") from error


def _leave(right: bool) -> None:
    if not right:
        click.get_current_context().exit(1)


# ------------------------------------------------------------------ check


@click.command()
@click.argument("code", metavar="CODE")
@click.option(
    "-i", "--input", "shapes", type=sizes, multiple=True, help="Shape of each input: 2x3."
)
@click.option("--arrays", "path", type=_OUT, help="A .npz whose arrays are the inputs, in order.")
@click.option("--eps", type=float, default=1e-6, help="Step of the differences.")
@click.option("--atol", type=float, default=1e-5)
@click.option("--rtol", type=float, default=1e-3)
@click.option("--fast", is_flag=True, help="A few random directions instead of every cell.")
@click.option("--float32", is_flag=True, help="Inputs in float32.")
@click.option("--seed", type=int, default=0)
@click.option("-o", "--output", type=_OUT, help="A picture of the cells that differ.")
@as_json
def check(
    code: str, shapes: tuple[tuple[int, ...], ...], path: Path | None, eps: float, atol: float,
    rtol: float, fast: bool, float32: bool, seed: int, output: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Hold the gradient of CODE against differences, cell by cell; exit 1 where it is wrong.

    CODE is package.module:function or file.py:Class: a function of tensors, a Function class, or
    file.py:forward,backward, a pair of functions on arrays.
    """
    import numpy as np

    from rot180.check import gradients

    found = _code(code)
    rng = np.random.default_rng(seed)
    inputs: list[Any] = list(_arrays(path).values()) if path is not None else []
    dtype = np.float32 if float32 else np.float64
    inputs += [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    if not inputs:
        raise click.UsageError("give the inputs: --input 2x3x5x5 for each, or --arrays file.npz")
    result = _guarded(
        lambda: gradients(
            found,
            *inputs,
            eps=eps,
            atol=atol,
            rtol=rtol,
            raise_exception=False,
            fast_mode=fast,
            seed=seed,
        )
    )
    if output is not None:
        result.save(output)
    if as_json:
        emit_json(result.to_dict())
    else:
        click.echo(str(result))
    _leave(bool(result))


# ------------------------------------------------------------------ diagnose


@click.command()
@click.argument("what", metavar="OPERATION|FILE.npz")
@click.argument("code", metavar="[CODE]", required=False)
@_window_options
@click.option("--arrays", "path", type=_OUT, help="A .npz with x, w, g, ... and dx, dw, ...")
@click.option("--noise", type=float, default=0.0, help="Allowed besides rounding, as a share.")
@click.option("--seed", type=int, default=0)
@click.option("--list", "listed", is_flag=True, help="List the known mistakes of OPERATION.")
@click.option("--ask", type=_OUT, help="Write the input that would decide, as a .npz.")
@click.option("-o", "--output", type=_OUT, help="A picture of the cells that differ.")
@as_json
def diagnose(
    what: str, code: str | None, path: Path | None, more: tuple[str, ...], noise: float, seed: int,
    listed: bool,
    ask: Path | None, output: Path | None, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Name the mistake in a backward pass; exit 1 where there is one.

    OPERATION is conv2d, conv_transpose2d, max_pool2d, avg_pool2d, linear, cross_entropy,
    batch_norm, relu and so on. CODE is package.module:function or file.py:Class:
    backward(g, x, ...), a layer or Function class, or file.py:forward,backward. Without CODE the
    gradients are taken from a .npz.
    """
    from rot180.check import diagnose as run
    from rot180.check import mistakes

    if listed:
        _list(mistakes(what), as_json)
        return
    named = {name: _option(value) for name, value in options.items() if value is not None}
    named |= _named(more)
    arrays: dict[str, Any] = {} if path is None else dict(_arrays(path))
    if what.endswith(".npz"):
        arrays = dict(_arrays(Path(what))) | arrays
        if "operation" not in arrays:
            raise DataError(f"{what}: no operation", expected='a string under "operation"')
        what = str(arrays.pop("operation"))
    arrays.pop("operation", None)
    user = None if code is None else _code(code)
    result = _guarded(lambda: run(what, user, noise=noise, seed=seed, **(arrays | named)))
    if output is not None and not result:
        result.save(output)
    if ask is not None and result.question is not None:
        result.question.save(ask)
    if as_json:
        emit_json(result.to_dict())
    else:
        click.echo(str(result))
    _leave(bool(result))


def _list(known: tuple[Mistake, ...], as_json: bool) -> None:
    if as_json:
        names = ("name", "gradient", "group", "algebra", "fix")
        emit_json({"mistakes": [{name: getattr(m, name) for name in names} for m in known]})
        return
    for m in known:
        click.echo(f"{m.gradient:3} {m.name}: {m.algebra}")


# ------------------------------------------------------------------ identify


@click.command()
@click.argument("file", type=_OUT, metavar="FILE.npz")
@as_json
def identify(file: Path, as_json: bool) -> None:
    """Find the convention behind arrays: x, w and y, or x, w, g and dx; exit 1 where none fits."""
    from rot180.check import identify as run

    arrays = _arrays(file)
    names = {"x", "w", "y", "g", "dx"} & set(arrays)
    missing = {"x", "w"} - names
    if missing or not ({"y"} <= names or {"g", "dx"} <= names):
        raise ArgumentError(
            f"{file}: arrays", expected="x, w, y or x, w, g, dx", got=", ".join(arrays) or "none"
        )
    if "y" in names:
        result = run(arrays["x"], arrays["w"], arrays["y"])
    else:
        result = run(arrays["x"], arrays["w"], g=arrays["g"], dx=arrays["dx"])
    if as_json:
        emit_json(result.to_dict())
    else:
        click.echo(str(result))
    _leave(bool(result))
