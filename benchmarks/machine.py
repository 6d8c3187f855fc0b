"""What a number was measured on, for tables and pictures."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import platform
import subprocess
from pathlib import Path

__all__ = ["describe", "line"]


def _processor() -> str:
    """The processor's name, where the system tells."""
    about = Path("/proc/cpuinfo")
    if about.exists():
        for row in about.read_text().splitlines():
            if row.startswith("model name"):
                return row.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _commit() -> str:
    """The commit that is measured, marked where files differ from it."""
    command = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def describe(threads: int) -> dict[str, str]:
    """Processor, threads, target and versions."""
    from rot180.jit import host

    packages = {name: _version(name) for name in ("numpy", "torch", "jax", "llvmlite")}
    return {
        "processor": _processor(),
        "target": host().name,
        "threads": str(threads),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version for name, version in packages.items() if version},
        "rot180": _commit(),
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
    }


def line(about: dict[str, str]) -> str:
    """The same in a line."""
    versions = [f"{name} {about[name]}" for name in ("torch", "jax") if name in about]
    return ", ".join(
        [
            f"{about['processor']} ({about['target']})",
            f"{about['threads']} threads",
            "float32",
            f"Python {about['python']}",
            *versions,
            f"rot180 {about['rot180']}",
            about["date"],
        ]
    )
