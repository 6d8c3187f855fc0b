"""The version of the code generator: a digest of its own source, part of every key of the cache."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

__all__ = ["code_version"]


@functools.cache
def code_version() -> str:
    """Changes whenever this folder, llvmlite or LLVM changes."""
    import llvmlite
    import llvmlite.binding as llvm

    digest = hashlib.sha256(f"{llvmlite.__version__} {llvm.llvm_version_info}".encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
