"""Engine: from a module in LLVM's words to machine code, and to a function that can be called."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from rot180.jit.emission.target import Target

__all__ = ["Code", "assembly", "compile_object", "optimised"]


def _new_machine(target: Target) -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_all_targets() if target.triple else llvm.initialize_native_target()
    llvm.initialize_all_asmprinters() if target.triple else llvm.initialize_native_asmprinter()
    triple = target.triple or llvm.get_process_triple()
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=3, reloc="pic", codemodel="small"
    )


_machine = functools.cache(_new_machine)


def optimised(text: str, target: Target) -> Any:
    """Parse, verify and optimise a module."""
    import llvmlite.binding as llvm

    machine = _machine(target)
    module = llvm.parse_assembly(text)
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = False
    options.slp_vectorization = False
    options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module


def compile_object(text: str, target: Target) -> bytes:
    """Machine code of a module, as an object file."""
    return bytes(_machine(target).emit_object(optimised(text, target)))


def assembly(text: str, target: Target) -> str:
    """Machine code of a module, to be read."""
    return str(_machine(target).emit_assembly(optimised(text, target)))


class Code:
    """Object files that are loaded into the process; it must outlive what it is asked for."""

    def __init__(self, target: Target) -> None:
        import llvmlite.binding as llvm

        # The engine owns its machine and frees it with itself, so it gets one of its own.
        machine = _new_machine(target)
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)

    def add(self, code: bytes) -> None:
        """Load one object file."""
        import llvmlite.binding as llvm

        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))

    def address(self, name: str) -> int:
        """Where a function of a loaded object stands."""
        self._engine.finalize_object()
        found = int(self._engine.get_function_address(name))
        if not found:
            raise LookupError(name)
        return found

    def function(self, name: str) -> Any:
        """A kernel as a callable of (table of pointers, part, parts), each part a worker."""
        word = ctypes.c_int64
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, word, word, word)
        function = kind(self.address(name))
        return lambda table, part, parts: function(table, part, parts, part)
