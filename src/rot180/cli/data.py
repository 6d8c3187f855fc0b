"""`rot180 data list` and `rot180 data fetch`."""

from __future__ import annotations

from pathlib import Path

import click

from rot180.cli.options import as_json, emit_json

__all__ = ["data"]


@click.group()
def data() -> None:
    """List data sets, or fetch one."""


@data.command("list")
@as_json
def list_data(as_json: bool) -> None:
    """The data sets that are known by name."""
    from rot180.data import DATASETS

    if as_json:
        keys = ("description", "image_shape", "train", "test", "licence", "attribution", "embedded")
        found = {name: {key: getattr(info, key) for key in keys} for name, info in DATASETS.items()}
        emit_json(found)
        return
    for name, info in DATASETS.items():
        shape = "×".join(str(size) for size in info.image_shape)
        where = "embedded" if info.embedded else f"rot180 data fetch {name}"
        click.echo(
            f"{name:14} {info.train:>6,} + {info.test:>6,} images {shape:8} "
            f"{info.description}; {info.licence}; {where}"
        )


@data.command("fetch")
@click.argument("name")
@click.option("--data", "root", type=click.Path(path_type=Path), help="Where to put it.")
@as_json
def fetch_data(name: str, root: Path | None, as_json: bool) -> None:
    """Download a data set, with its checksums verified."""
    from rot180.data import default_root, fetch

    root = root or default_root()
    path = fetch(name.replace("-", "_"), root, report=lambda line: click.echo(line, err=as_json))
    if as_json:
        emit_json({"name": name, "path": str(path)})
    else:
        click.echo(f"{name} is in {path}")
