"""`rot180 eval`, `rot180 predict` and `rot180 summary`: using models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rot180.cli.options import as_json, emit_json, sizes

__all__ = ["evaluate", "predict", "summarise"]

_RUN = click.Path(path_type=Path)


@click.command("eval")
@click.argument("run", type=_RUN)
@click.argument("dataset", required=False, metavar="[DATASET|FOLDER]")
@click.option("--data", "root", help="Folder in which the data set lies.")
@click.option("--split", type=click.Choice(["test", "train", "all"]), default="test")
@click.option("--eager", is_flag=True, help="Operation by operation instead of compiled.")
@as_json
def evaluate(
    run: Path, dataset: str | None, root: str | None, split: str, eager: bool, as_json: bool
) -> None:
    """Measure the model of RUN on its test images, or on other data with the same classes."""
    from rot180.train import evaluate_run

    found = evaluate_run(run, name=dataset, root=root, split=split, eager=eager)
    if as_json:
        emit_json(found)
        return
    click.echo(
        f"{found['data']}: accuracy {100 * found['accuracy']:.2f} % of {found['images']} images, "
        f"loss {found['loss']:.4f}"
    )
    width = max(len(name) for name in found["classes"])
    for name, share in found["classes"].items():
        click.echo(f"  {name:{width}}  {100 * share:6.2f} %" if share == share else f"  {name}")


@click.command()
@click.argument("run", type=_RUN)
@click.argument("images", type=_RUN, nargs=-1, required=True)
@click.option("--invert", is_flag=True, help="Swap light and dark first (ink on paper).")
@as_json
def predict(run: Path, images: tuple[Path, ...], invert: bool, as_json: bool) -> None:
    """Say what the model of RUN sees in IMAGES, pictures of any kind and size."""
    from rot180.train import predict_images

    found = predict_images(run, images, invert=invert)
    if as_json:
        emit_json({"run": str(run), "predictions": found})
        return
    for result in found:
        ranked = sorted(result["probabilities"].items(), key=lambda item: -item[1])
        shares = "  ".join(f"{name} {100 * share:.1f} %" for name, share in ranked[:5])
        click.echo(f"{result['file']}: {result['class']}  ({shares})")


@click.command("summary")
@click.option("--model", default="lenet5", help="As for rot180 train.")
@click.option("--input", "shape", type=sizes, default="1x28x28", help="Channels, rows, columns.")
@click.option("--classes", type=click.IntRange(1), default=10, help="How many scores.")
@as_json
def summarise(model: str, shape: tuple[int, ...], classes: int, as_json: bool) -> None:
    """Show a model's layers: shapes, parameters, multiplications, receptive field."""
    from rot180.nn import summary
    from rot180.train import build_model

    if len(shape) != 3:
        raise click.UsageError("--input: channels, rows and columns, as in 1x28x28")
    channels, rows, columns = shape
    size: Any = rows if rows == columns else (rows, columns)
    table = summary(build_model(model, channels, classes, size), shape)
    if as_json:
        emit_json(table.to_dict())
    else:
        click.echo(str(table))
