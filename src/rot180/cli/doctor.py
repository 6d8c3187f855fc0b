"""`rot180 doctor`: what this machine and this Python have."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

import click

from rot180._version import __version__
from rot180.cli.options import as_json, emit_json

__all__ = ["doctor"]

_CORE = ("numpy", "llvmlite", "click", "rich", "safetensors", "tomli-w")
_EXTRAS = {"matplotlib": "plot", "pillow": "data", "pooch": "data", "sympy": "explain"}


@click.command()
@as_json
def doctor(as_json: bool) -> None:
    """Show versions, processor, and what is installed; exit 1 when something needed is missing."""
    found = _look()
    if as_json:
        emit_json(found)
    else:
        _show(found)
    if None in found["core"].values():
        click.get_current_context().exit(1)


def _look() -> dict[str, Any]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "rot180": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "executable": sys.executable,
        "system": platform.platform(),
        "processor": _processor(),
        "cores": {"usable": usable, "present": os.cpu_count()},
        "blas": _blas(),
        "compiled": _compiled(),
        "core": {name: _version(name) for name in _CORE},
        "extras": {
            name: {"version": _version(name), "extra": extra} for name, extra in _EXTRAS.items()
        },
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.lower().startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _blas() -> str:
    import numpy as np

    config: Any = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()


def _compiled() -> dict[str, Any]:
    """What the compiled step has here: target, threads, and where its code is kept."""
    from rot180.jit import get_num_threads
    from rot180.jit.cache import Cache, default_folder

    try:
        from rot180.jit import host

        target = host()
    except ImportError:
        return {"target": None}
    entries = Cache(default_folder()).entries()
    return {
        "target": target.name,
        "vector_bytes": target.vector_bytes,
        "threads": get_num_threads(),
        "cache": str(default_folder()),
        "cache_entries": len(entries),
        "cache_bytes": sum(size for _, size, _ in entries),
    }


def _show(found: dict[str, Any]) -> None:
    cores = found["cores"]
    click.echo(f"rot180      {found['rot180']}")
    click.echo(f"Python      {found['python']} ({found['executable']})")
    click.echo(f"system      {found['system']}")
    click.echo(
        f"processor   {found['processor']}, {cores['usable']} of {cores['present']} cores usable"
    )
    click.echo(f"BLAS        {found['blas']}")
    how = found["compiled"]
    if how["target"] is None:
        click.echo("compiled    nothing: steps run on NumPy, operation by operation")
    else:
        click.echo(
            f"compiled    {how['target']}, vectors of {how['vector_bytes']} bytes, "
            f"{how['threads']} threads"
        )
        click.echo(
            f"cache       {how['cache']}: {how['cache_entries']} kernels, "
            f"{how['cache_bytes'] / 2**20:.1f} MiB"
        )
    for name, version in found["core"].items():
        click.echo(f"{name:11} {version or 'MISSING, and needed: python -m pip install rot180'}")
    for name, entry in found["extras"].items():
        missing = f'not installed: python -m pip install "rot180[{entry["extra"]}]"'
        click.echo(f"{name:11} {entry['version'] or missing}")
