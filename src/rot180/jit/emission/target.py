"""Target: what the emitted code may use. Kernels ask it for numbers, never for a name.

A vector holds `lanes` numbers; `registers` of them are there at once. Everything that differs
between AVX-512, AVX2, SSE2 and NEON is in these few integers, so one emitter serves them all.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

__all__ = ["TARGETS", "Target", "host"]


@dataclass(frozen=True)
class Target:
    """One processor family, as far as kernels care.

    Attributes:
        name: "avx512", "avx2", "sse2" or "neon".
        triple: LLVM's word for the instruction set and system; "" for the running process.
        cpu: LLVM's processor name.
        features: LLVM's feature string.
        vector_bytes: width of a vector register.
        registers: how many vector registers there are.
        level2: bytes of the second cache of one core, which blocking fills to about two thirds.
    """

    name: str
    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int
    level2: int = 1 << 20

    def lanes(self, dtype: np.dtype[np.floating]) -> int:
        """Numbers of this type in one vector."""
        return self.vector_bytes // dtype.itemsize


TARGETS = {
    "avx512": Target(
        "avx512",
        "",
        "x86-64-v4",
        "+avx512f,+avx512bw,+avx512dq,+avx512vl,+fma,+prefer-256-bit",
        64,
        32,
    ),
    "avx2": Target("avx2", "", "x86-64-v3", "+avx2,+fma", 32, 16, 1 << 18),
    "sse2": Target("sse2", "", "x86-64", "", 16, 16, 1 << 18),
    "neon": Target("neon", "aarch64-unknown-linux-gnu", "generic", "+neon", 16, 32, 1 << 18),
}
"""Targets that can be named; `host` picks one of them for this processor."""


@functools.cache
def host() -> Target:
    """The widest target that the running processor can execute."""
    import platform

    import llvmlite.binding as llvm

    if platform.machine().lower() in ("arm64", "aarch64"):
        return Target("neon", "", llvm.get_host_cpu_name(), "", 16, 32, 1 << 19)
    features = llvm.get_host_cpu_features()
    for name, needed in (("avx512", "avx512vl"), ("avx2", "fma")):
        if features.get(needed):
            wide = TARGETS[name]
            cpu, words = llvm.get_host_cpu_name(), features.flatten()
            return Target(name, "", cpu, words, wide.vector_bytes, wide.registers, wide.level2)
    return TARGETS["sse2"]
