"""Module: parameters, buffers and other modules under the names of its attributes.

There is no registry beside the attributes: what a module owns is read from them whenever it is
asked for, so that assigning, replacing (by None too) and deleting need no bookkeeping.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from rot180.core import Tensor
from rot180.errors import ArgumentError, DTypeError, GraphError, ShapeError
from rot180.nn.parameter import Parameter

__all__ = ["ForwardHook", "LoadResult", "Module"]

M = TypeVar("M", bound="Module")

ForwardHook = Callable[["Module", tuple[Any, ...], Any], Any]
"""Called as hook(module, arguments, result); what it returns, if not None, replaces the result."""


class LoadResult(NamedTuple):
    """The names that `load_state_dict` could not match.

    Attributes:
        missing_keys: in the module, but not in the state.
        unexpected_keys: in the state, but not in the module.
    """

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """A layer, or a network of layers: subclass it, assign the parts, define `forward`.

    >>> from rot180 import nn
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         self.hidden = nn.Linear(4, 3)
    ...         self.head = nn.Linear(3, 2, bias=False)
    ...     def forward(self, x):
    ...         return self.head(self.hidden(x).relu())
    >>> [name for name, _ in Net().named_parameters()]
    ['hidden.weight', 'hidden.bias', 'head.weight']

    Attributes:
        training: whether dropout drops and batch norm takes the statistics of the batch.
    """

    training: bool = True

    def _no_forward(self, *args: Any, **options: Any) -> Any:
        """Stands for the `forward` that a subclass has not defined."""
        raise GraphError(
            f"{type(self).__name__} has no forward", rule="define forward(self, input)"
        )

    forward: Callable[..., Any] = _no_forward

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Run `forward` and the hooks after it."""
        result = self.forward(*args, **options)
        for hook in list(vars(self).get("_forward_hooks", ())):
            replaced = hook(self, args, result)
            if replaced is not None:
                result = replaced
        return result

    def register_forward_hook(self, hook: ForwardHook) -> Callable[[], None]:
        """Call `hook(module, arguments, result)` after every forward pass of this module.

        Returns:
            A function that removes the hook again.
        """
        hooks: list[ForwardHook] = vars(self).setdefault("_forward_hooks", [])
        hooks.append(hook)
        return lambda: hooks.remove(hook)

    # What it owns

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Keep a tensor that is no parameter, such as running statistics.

        Args:
            name: the attribute that holds it.
            tensor: the tensor, or None for none.
            persistent: whether it belongs to the state dict.
        """
        vars(self).setdefault("_buffer_names", {})[name] = persistent
        setattr(self, name, tensor)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules that are attributes, with their names, each once."""
        seen: set[int] = set()
        for name, value in vars(self).items():
            if isinstance(value, Module) and id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def children(self) -> Iterator[Module]:
        """The modules that are attributes."""
        return (child for _, child in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it with their dotted names, parents first, each once."""
        seen: set[int] = set()
        for name, module in self._places(prefix, ()):
            if id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def modules(self) -> Iterator[Module]:
        """This module and all below it, parents first, each once."""
        return (module for _, module in self.named_modules())

    def _places(self, prefix: str, above: tuple[int, ...]) -> Iterator[tuple[str, Module]]:
        """Every place where a module stands; one that stands in two places comes twice."""
        yield prefix, self
        above = (*above, id(self))
        for name, value in vars(self).items():
            if isinstance(value, Module) and id(value) not in above:
                yield from value._places(_join(prefix, name), above)

    def _own_parameters(self) -> Iterator[tuple[str, Parameter]]:
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield name, value

    def _own_buffers(self, persistent_only: bool = False) -> Iterator[tuple[str, Tensor]]:
        for name, persistent in vars(self).get("_buffer_names", {}).items():
            value = vars(self).get(name)
            if isinstance(value, Tensor) and (persistent or not persistent_only):
                yield name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their dotted names, in order of assignment, each once."""
        seen: set[int] = set()
        for path, module in self._places(prefix, ()) if recurse else ((prefix, self),):
            for name, parameter in module._own_parameters():
                if id(parameter) not in seen:
                    seen.add(id(parameter))
                    yield _join(path, name), parameter

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once: what an optimiser is given."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their dotted names, each once."""
        seen: set[int] = set()
        for path, module in self._places(prefix, ()) if recurse else ((prefix, self),):
            for name, buffer in module._own_buffers():
                if id(buffer) not in seen:
                    seen.add(id(buffer))
                    yield _join(path, name), buffer

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    # State

    def _state(self) -> Iterator[tuple[str, Tensor]]:
        for path, module in self._places("", ()):
            for name, parameter in module._own_parameters():
                yield _join(path, name), parameter
            for name, buffer in module._own_buffers(persistent_only=True):
                yield _join(path, name), buffer

    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and persistent buffers under PyTorch's names.

        Returns:
            Tensors without gradient that share the module's memory; copy what is to stay.
        """
        return {name: value.detach() for name, value in self._state()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> LoadResult:
        """Write values into the parameters and buffers, in place.

        The tensors stay the same objects in the same memory, so an optimiser made before goes on
        working. Nothing is changed unless everything fits.

        Args:
            state_dict: name to tensor or array; converted to the data type of its target.
            strict: whether names that do not match are an error.

        Returns:
            The missing and the unexpected names.

        Raises:
            ArgumentError: names that do not match, when strict.
            ShapeError: a value of another shape.
            DTypeError: a value of another kind of number.
        """
        targets = dict(self._state())
        missing = [name for name in targets if name not in state_dict]
        unexpected = [name for name in state_dict if name not in targets]
        if strict and (missing or unexpected):
            raise ArgumentError(
                f"{type(self).__name__}.load_state_dict: names do not match",
                got=f"missing: {_names(missing)}; unexpected: {_names(unexpected)}",
                rule="pass strict=False to load what matches",
            )
        pairs = []
        for name, target in targets.items():
            if name not in state_dict:
                continue
            value = np.asarray(state_dict[name])
            if value.shape != target.shape:
                raise ShapeError(
                    f"load_state_dict: {name}", expected=str(target.shape), got=str(value.shape)
                )
            if not np.can_cast(value.dtype, target.dtype, casting="same_kind"):
                raise DTypeError(
                    f"load_state_dict: {name}", expected=str(target.dtype), got=str(value.dtype)
                )
            pairs.append((target, value))
        for target, value in pairs:
            target.writable()[...] = value
        return LoadResult(missing, unexpected)

    # Switches that act on everything below

    def train(self: M, mode: bool = True) -> M:
        """Switch to training (or, with False, to evaluation)."""
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self: M) -> M:
        """Switch to evaluation: dropout keeps all, batch norm uses its running statistics."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Let all parameters learn, or freeze them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def apply(self: M, function: Callable[[Module], object]) -> M:
        """Call a function with every module below and then with this one."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    def to(self: M, dtype: npt.DTypeLike) -> M:
        """Convert parameters, their gradients and float buffers to float32 or float64.

        The tensors stay the same objects. Make the optimiser afterwards: its state stays as it is.

        Raises:
            DTypeError: another data type.
        """
        target = np.dtype(dtype)
        if target not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise DTypeError("Module.to", expected="float32 or float64", got=str(target))
        for tensor in [*self.parameters(), *self.buffers()]:
            if tensor.dtype.kind == "f":
                tensor.data = tensor.writable().astype(target, copy=False)
            if tensor.grad is not None:
                tensor.grad = Tensor(tensor.grad.data.astype(target, copy=False))
        return self

    def float(self: M) -> M:
        """Convert to float32."""
        return self.to(np.float32)

    def double(self: M) -> M:
        """Convert to float64."""
        return self.to(np.float64)

    # How it looks

    def extra_repr(self) -> str:
        """The constructor's arguments that were kept as attributes, defaults left out."""
        words = []
        for name, parameter in inspect.signature(type(self)).parameters.items():
            if name not in vars(self):
                continue
            value = vars(self)[name]
            if isinstance(parameter.default, bool):
                value = value is not None and value is not False  # `bias` holds the parameter
            elif not isinstance(value, _PLAIN):
                continue
            if parameter.default is parameter.empty:
                words.append(repr(value))
            elif value != parameter.default:
                words.append(f"{name}={value!r}")
        return ", ".join(words)

    def __repr__(self) -> str:
        head = f"{type(self).__name__}({self.extra_repr()}"
        parts = [
            f"  ({name}): " + repr(value).replace("\n", "\n  ")
            for name, value in vars(self).items()
            if isinstance(value, Module)
        ]
        return "\n".join([head, *parts, ")"]) if parts else f"{head})"


_PLAIN = (bool, int, float, str, tuple, list, np.generic, type(None))


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:5]) or "none"
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
