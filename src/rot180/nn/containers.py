"""Modules that hold modules: in a row, in a list, under names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rot180.errors import ArgumentError
from rot180.nn.module import Module

__all__ = ["ModuleDict", "ModuleList", "Sequential"]


class ModuleList(Module):
    """Modules under the names 0, 1, 2, ...

    Args:
        modules: the modules.

    Raises:
        ArgumentError: something that is no module.
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> ModuleList:
        """Add one at the end; returns the list."""
        setattr(self, str(len(self)), _checked(type(self).__name__, module))
        return self

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        """Add several at the end; returns the list."""
        for module in modules:
            self.append(module)
        return self

    def _listed(self) -> list[Module]:
        return [value for value in vars(self).values() if isinstance(value, Module)]

    def __len__(self) -> int:
        return len(self._listed())

    def __iter__(self) -> Iterator[Module]:
        return iter(self._listed())

    def __getitem__(self, index: int) -> Module:
        return self._listed()[index]


class Sequential(ModuleList):
    """Modules one after the other: each takes the result of the one before.

    Args:
        modules: the modules, or a single dict that names them.

    Raises:
        ArgumentError: something that is no module.

    >>> from rot180 import nn
    >>> nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    Sequential(
      (0): Flatten()
      (1): Linear(64, 10)
    )
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                _name_module(self, name, module)
        else:
            super().__init__(modules)  # type: ignore[arg-type]  # append refuses what is none

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Sequential(*self._listed()[index])
        return self._listed()[index]

    def forward(self, input: Any) -> Any:
        """The result of the last module."""
        for module in self._listed():
            input = module(input)
        return input


class ModuleDict(Module):
    """Modules under names of their own.

    Args:
        modules: name to module.

    Raises:
        ArgumentError: something that is no module, or a name that cannot be an attribute.
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        for name, module in (modules or {}).items():
            self[name] = module

    def __setitem__(self, name: str, module: Module) -> None:
        if name in self:
            delattr(self, name)
        _name_module(self, name, module)

    def __getitem__(self, name: str) -> Module:
        if name not in self:
            raise ArgumentError(f"ModuleDict: no module {name!r}", expected=", ".join(self.keys()))
        module: Module = vars(self)[name]
        return module

    def __contains__(self, name: object) -> bool:
        return isinstance(vars(self).get(str(name)), Module)

    def __len__(self) -> int:
        return len(self.keys())

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def keys(self) -> list[str]:
        """The names, in order."""
        return [name for name, value in vars(self).items() if isinstance(value, Module)]

    def values(self) -> list[Module]:
        """The modules, in order."""
        return [value for value in vars(self).values() if isinstance(value, Module)]

    def items(self) -> list[tuple[str, Module]]:
        """Names and modules, in order."""
        return list(zip(self.keys(), self.values(), strict=True))


def _checked(container: str, module: object) -> Module:
    if not isinstance(module, Module):
        raise ArgumentError(
            f"{container}: not a module",
            got=repr(module) if isinstance(module, type) else type(module).__name__,
            rule="pass an instance, such as nn.ReLU(); a function needs a module around it",
        )
    return module


def _name_module(container: Module, name: str, module: object) -> None:
    if not isinstance(name, str) or not name or "." in name or hasattr(container, name):
        raise ArgumentError(
            f"{type(container).__name__}: bad name",
            expected="text without a dot that is no attribute of modules",
            got=repr(name),
        )
    setattr(container, name, _checked(type(container).__name__, module))
