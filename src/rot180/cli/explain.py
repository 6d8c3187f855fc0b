"""`rot180 explain`: the equations of an operation's gradients, or of a trained network's."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rot180.cli.options import as_json, emit_json, number_or_text, sizes
from rot180.errors import ArgumentError

if TYPE_CHECKING:
    from rot180.explain import Cell, Explanation, ModelExplanation

__all__ = ["explain"]

_WINDOW = ("stride", "padding", "dilation", "groups", "mode", "output_padding", "ceil_mode")


@click.command("explain")
@click.argument("target", metavar="OPERATION|RUN")
@click.option("--input", "input", type=sizes, help="Size of the input, such as 5x5 or 2x8x8.")
@click.option("-k", "--kernel", "--kernel-size", "kernel", type=sizes, help="Such as 3x3.")
@click.option("-s", "--stride", type=sizes)
@click.option("-p", "--padding", help="A number, one per axis, pairs (1.2x0.1), or a word.")
@click.option("-d", "--dilation", type=sizes)
@click.option("-g", "--groups", type=int)
@click.option("--mode", type=click.Choice(["correlation", "convolution"]))
@click.option("--output-padding", type=sizes)
@click.option("--ceil-mode", is_flag=True, default=None)
@click.option("--bias", is_flag=True, help="With a bias.")
@click.option("--class", "label", type=int, help="The true class, for cross_entropy.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Another argument.")
@click.option("--cell", "cells", multiple=True, metavar="ARRAY:I,J", help="Such as dx:1,2.")
@click.option("--steps", is_flag=True, help="Derive the cells line by line.")
@click.option("--view", help="scatter, gather, matrix, network, graph or duality.")
@click.option("--of", help="The array that a view shows: dx, dw or z.")
@click.option("--prove", is_flag=True, help="Let SymPy prove it for this geometry.")
@click.option("--base", type=click.IntRange(0, 1), default=0, help="The first index.")
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en")
@click.option("--seed", type=int, default=0, help="Of the numbers that fill the arrays.")
@click.option("--image", type=int, default=0, help="Of a run: which of its test images.")
@click.option("--data", "root", help="Of a run: the folder in which the data set lies.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File; suffix is format.")
@as_json
def explain(target: str, **given: Any) -> int:
    """Explain every gradient of an OPERATION (conv2d, max_pool2d, linear, ...), or of a RUN.

    rot180 explain conv2d --input 5x5 --kernel 3x3 --stride 2 --padding 1 --cell dx:1,2

    rot180 explain runs/digits --image 3
    """
    e = _of_run(target, given) if Path(target).is_dir() else _of_operation(target, given)
    cells = [e.cell(address) for address in given["cells"]]
    options = {key: given[key] for key in ("view", "of") if given[key]}
    view = e.view(options.get("view", "gather"), given["of"]) if given["view"] else None
    proof = e.prove() if given["prove"] else None
    if given["output"]:
        _save(e, given["output"], cells, dict(options))
    if given["as_json"]:
        emit_json(_as_data(e, cells, view, proof, given["steps"]))
    elif given["output"]:
        click.echo(str(given["output"]))
    elif not (cells or view or proof):
        click.echo(str(e))
    else:
        _print(e, cells, view, proof, given["steps"])
    wrong = [cell for cell in cells if not cell.agrees]
    return int(bool(wrong) or (proof is not None and not proof.holds))


def _of_operation(name: str, given: dict[str, Any]) -> Explanation:
    from rot180.explain import explainer

    if "/" in name or "\\" in name or name in (".", ".."):
        raise ArgumentError(f"explain: no run folder {name!r}")
    make = explainer(name)
    options: dict[str, Any] = {key: given[key] for key in ("base", "lang", "seed")}
    if given["input"] is None:
        raise click.UsageError(f"explain {name}: --input is missing, such as --input 5x5")
    if given["kernel"] is not None:
        options["kernel"] = given["kernel"]
    for key in _WINDOW:
        value = given[key]
        if value is not None:
            options[key] = _padding(value) if key == "padding" else _per_axis(value)
    if given["bias"]:
        options["bias"] = True
    if given["label"] is not None:
        options["target"] = given["label"]
    options.update(_setting(text) for text in given["settings"])
    return make(given["input"], **options)


def _per_axis(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


def _padding(text: str) -> Any:
    from rot180.cli.shape import _padding as parse

    return parse(text)


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--set {text!r}: expected NAME=VALUE")
    with contextlib.suppress(json.JSONDecodeError):
        found = json.loads(value)
        return name, tuple(found) if isinstance(found, list) else found
    return name, number_or_text(value)


def _of_run(path: str, given: dict[str, Any]) -> ModelExplanation:
    from rot180.explain import model
    from rot180.train import run_example

    net, image, label, about = run_example(Path(path), given["image"], root=given["root"])
    made = model(net, image, label, base=given["base"], lang=given["lang"])
    made.title = f"{made.title}, {given['image']}: {about['classes'][label]}"
    return made


def _save(e: Explanation, path: Path, cells: list[Cell], options: dict[str, Any]) -> None:
    suffix = path.suffix.lower()
    if suffix in (".txt", ".md", ".tex"):
        options = {}
    elif suffix == ".html":
        options.pop("of", None)
    elif suffix in (".gif", ".mp4"):
        options.pop("view", None)
    elif cells:
        options["cell"] = cells[0]
    e.save(path, **options)


def _as_data(
    e: Explanation, cells: list[Cell], view: Any, proof: Any, steps: bool
) -> dict[str, Any]:
    from rot180.explain import ModelExplanation

    found: dict[str, Any] = {"title": e.title, "agrees": True}
    if isinstance(e, ModelExplanation):
        found["loss"] = float(e.tape.output.array)
        found["layers"] = e.table()
    else:
        found["window"] = None if e.window is None else e.window.name
        found["arrays"] = {
            name: {"role": v.role, "shape": list(v.shown)} for name, v in e.values.items()
        }
        found["agrees"] = e.agrees if not cells else all(cell.agrees for cell in cells)
    if cells:
        found["cells"] = [cell.to_dict() for cell in cells]
    if steps:
        lines = [[str(line.text), line.reason] for cell in cells for line in e.steps(cell)]
        found["steps"] = lines
    if view is not None:
        found["view"] = view.to_dict()
    if proof is not None:
        found["proof"] = {"holds": proof.holds, "entries": len(proof.entries), "text": str(proof)}
    return found


def _print(e: Explanation, cells: list[Cell], view: Any, proof: Any, steps: bool) -> None:
    for cell in cells:
        if steps:
            for line in e.steps(cell):
                click.echo(str(line))
        else:
            click.echo(cell.equation)
            click.echo(cell.numbers)
    if view is not None:
        click.echo(str(view))
    if proof is not None:
        click.echo(str(proof))
