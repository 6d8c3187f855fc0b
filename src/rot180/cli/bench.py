"""`rot180 bench` and `rot180 cache`: a compiled step measured and explained; its code on disk."""

from __future__ import annotations

import statistics
from typing import Any

import click

from rot180.cli.options import as_json, emit_json, sizes

__all__ = ["bench", "cache"]

_COLOUR = ("vgg6", "resnet20")


@click.command()
@click.option("--model", default="lenet5", help="As for rot180 train.")
@click.option("--batch-size", "--batch", "batch", type=click.IntRange(1), default=64)
@click.option("--input", "shape", type=sizes, help="Channels, rows, columns, as in 3x32x32.")
@click.option("--classes", type=click.IntRange(1), default=10, help="How many scores.")
@click.option("--optimizer", default="sgd", help="sgd, adam, adamw, rmsprop or adagrad.")
@click.option("--threads", type=click.IntRange(0), default=0, help="0: all processors.")
@click.option("--precision", type=click.Choice(["fast", "direct"]), default="fast")
@click.option("--seconds", type=click.FloatRange(0), default=2.0, help="How long to measure.")
@click.option("--why", is_flag=True, help="Show the plan: choices, estimates, memory, shares.")
@as_json
def bench(
    model: str,
    batch: int,
    shape: tuple[int, ...] | None,
    classes: int,
    optimizer: str,
    threads: int,
    precision: str,
    seconds: float,
    why: bool,
    as_json: bool,
) -> None:
    """Measure the compiled training step of a model on random images."""
    from rot180.train import build_model
    from rot180.train.assemble import make_optimizer
    from rot180.train.bench import measure_step
    from rot180.train.recipes import recipe
    from rot180.train.step import with_threads

    shape = shape or ((3, 32, 32) if model in _COLOUR else (1, 28, 28))
    if len(shape) != 3:
        raise click.UsageError("--input: channels, rows and columns, as in 1x28x28")
    channels, rows, columns = shape
    size: Any = rows if rows == columns else (rows, columns)
    built = build_model(model, channels, classes, size)
    options = {**recipe("")["optim"], "name": optimizer, "lr": 1e-4}
    with with_threads(threads):
        found = measure_step(
            built,
            make_optimizer(options, built),
            (batch, *shape),
            classes,
            seconds=seconds,
            precision=precision,
        )
    plan = found.plan
    numbers: dict[str, Any] = {
        "model": model,
        "batch_size": batch,
        "target": plan.target.name,
        "threads": plan.parts,
        "first_step_seconds": found.first,
        "step_seconds": statistics.median(found.step),
        "step_seconds_least": min(found.step),
        "evaluate_seconds": statistics.median(found.evaluate),
        "steps": len(found.step),
        "arena_bytes": plan.size,
        "arena_bytes_least": plan.least,
    }
    if as_json:
        if why:
            numbers["tasks"] = [{"task": task.title, "why": task.why} for task in plan.tasks]
            numbers["shares"] = [
                {"task": task, "kernel": kernel, "share": share}
                for task, kernel, share in found.shares
            ]
        emit_json(numbers)
        return
    typical = numbers["step_seconds"]
    click.echo(
        f"{model}, {batch} images {'×'.join(map(str, shape))}, {plan.target.name}, "
        f"{plan.parts} thread{'s' * (plan.parts > 1)}, {optimizer}"
    )
    click.echo(
        f"step      {1e3 * typical:.3f} ms (least {1e3 * min(found.step):.3f}), "
        f"{batch / typical:,.0f} images a second"
    )
    click.echo(f"evaluate  {1e3 * statistics.median(found.evaluate):.3f} ms")
    click.echo(f"first     {found.first:.2f} s")
    if why:
        click.echo("\nplan")
        click.echo(str(plan))
        click.echo("\nshares of a step (a segment goes block by block through several kernels)")
        for task, kernel, share in found.shares:
            click.echo(f"  {100 * share:5.1f} %  {task}  [{kernel}]")
        click.echo("\nmemory")
        click.echo(plan.memory())


@click.group()
def cache() -> None:
    """Show or clear the machine code that is kept on disk."""


@cache.command()
@as_json
def info(as_json: bool) -> None:
    """Where it is, how many kernels, how large."""
    found = _about()
    if as_json:
        emit_json(found)
    else:
        click.echo(
            f"{found['folder']}: {found['entries']} kernels, {found['bytes'] / 2**20:.1f} MiB"
        )


@cache.command()
@as_json
def clear(as_json: bool) -> None:
    """Remove all of it; it is made again when it is needed."""
    from rot180.jit.cache import Cache, default_folder

    removed = Cache(default_folder()).clear()
    if as_json:
        emit_json({"folder": str(default_folder()), "removed": removed})
    else:
        click.echo(f"{default_folder()}: {removed} kernels removed")


def _about() -> dict[str, Any]:
    from rot180.jit.cache import Cache, default_folder

    entries = Cache(default_folder()).entries()
    return {
        "folder": str(default_folder()),
        "entries": len(entries),
        "bytes": sum(size for _, size, _ in entries),
    }
