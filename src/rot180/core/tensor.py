"""Tensor: a NumPy array that remembers how it was made.

The core knows no operation. Python's operators and the methods of a tensor are words; the ops floor
gives them their meaning through `define_method`, and the sweep gives `backward` its.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from rot180.core.modes import state
from rot180.core.symbol import Symbol, as_symbol
from rot180.errors import DTypeError, GraphError, ShapeError

if TYPE_CHECKING:
    from rot180.core.graph import Node

__all__ = ["ArrayLike", "Hook", "Tensor", "Version", "define_method", "require_float", "tensor"]

ArrayLike = Any
"""Whatever stands for a tensor in an argument: a Tensor, an array, a Python number."""

Hook = Callable[["Tensor"], "Tensor | None"]

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Version:
    """Counts the in-place changes of one piece of memory; views share the counter."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


_methods: dict[str, Callable[..., Any]] = {}

F = TypeVar("F", bound=Callable[..., Any])


def define_method(name: str) -> Callable[[F], F]:
    """Give a word of `Tensor` (an operator or a method) its meaning."""

    def install(function: F) -> F:
        _methods[name] = function
        return function

    return install


def _word(name: str) -> Callable[..., Tensor]:
    """A method of `Tensor` that looks its meaning up when it is called."""

    def method(self: Tensor, *args: Any, **options: Any) -> Tensor:
        return _methods[name](self, *args, **options)  # type: ignore[no-any-return]

    method.__name__ = name
    return method


def _reflected(name: str) -> Callable[[Tensor, ArrayLike], Tensor]:
    """The operator for a tensor that stands on the right."""

    def method(self: Tensor, other: ArrayLike) -> Tensor:
        return _methods[name](other, self)  # type: ignore[no-any-return]

    method.__name__ = name
    return method


def _check_dtype(data: npt.NDArray[Any]) -> None:
    if data.dtype not in _FLOATS and data.dtype.kind not in "iub":
        raise DTypeError(
            "tensor: data type not supported",
            expected="float32, float64, an integer type or bool",
            got=str(data.dtype),
        )


class Tensor:
    """An array, and where it stands in the graph.

    Attributes:
        data: the NumPy array (shared memory; to write into it, see `writable`).
        requires_grad: whether gradients are wanted for it.
        grad: the accumulated gradient of a leaf (or after `retain_grad`), None before a sweep.
        grad_fn: the node that made it, None for a leaf.
        cause: for a value made in a backward sweep, the forward operation that caused it.
    """

    __slots__ = (
        "__weakref__",
        "cause",
        "data",
        "grad",
        "grad_fn",
        "hooks",
        "output_index",
        "requires_grad",
        "version",
    )

    def __init__(self, data: npt.NDArray[Any], requires_grad: bool = False) -> None:
        self.data = data
        self.requires_grad = requires_grad
        self.grad: Tensor | None = None
        self.grad_fn: Node | None = None
        self.output_index = 0
        self.hooks: list[Hook] | None = None
        self.version = Version()
        self.cause = state.cause

    # What it is

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of every axis."""
        return self.data.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """Number of cells."""
        return self.data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the array."""
        return self.data.dtype

    @property
    def is_leaf(self) -> bool:
        """Whether no operation made it."""
        return self.grad_fn is None

    def numpy(self) -> npt.NDArray[Any]:
        """The array, without a copy."""
        return self.data

    def item(self) -> float | int | bool:
        """The only cell as a Python number."""
        if self.size != 1:
            raise ShapeError(
                "item: not a single cell", expected="1 cell", got=f"shape {self.shape}"
            )
        value: float | int | bool = self.data.item()
        return value

    def tolist(self) -> Any:
        """Nested Python lists."""
        return self.data.tolist()

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        return np.array(self.data, dtype=dtype, copy=copy)

    # NumPy on the left of an operator hands over to the tensor on the right.
    __array_ufunc__ = None

    def __dlpack__(self, **options: Any) -> Any:
        return self.data.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.data.__dlpack_device__()

    def __len__(self) -> int:
        if self.ndim == 0:
            raise ShapeError("len: a tensor without axes has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.data)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        return self.data.__index__()

    def __repr__(self) -> str:
        if as_symbol(self.data) is not None:
            return f"tensor({self.data!r})"
        inner = np.array2string(self.data, separator=", ", prefix="tensor(", threshold=200)
        words = [inner]
        if self.dtype != np.float32:
            words.append(f"dtype={self.dtype}")
        if self.grad_fn is not None:
            words.append(f"grad_fn={self.grad_fn.name}")
        elif self.requires_grad:
            words.append("requires_grad=True")
        return f"tensor({', '.join(words)})"

    # The graph

    def requires_grad_(self, flag: bool = True) -> Tensor:
        """Ask for gradients of this leaf, or stop asking."""
        if not self.is_leaf:
            raise GraphError("requires_grad_: only a leaf can be switched; use detach()")
        if flag:
            require_float(self.data, "requires_grad")
        self.requires_grad = flag
        return self

    def detach(self) -> Tensor:
        """The same memory outside the graph."""
        outside = Tensor(self.data)
        outside.version = self.version
        return outside

    def writable(self) -> npt.NDArray[Any]:
        """The array for writing in place; counts a change, so that stale saved values show."""
        self.version.count += 1
        return self.data

    def zero_grad(self) -> None:
        """Forget the accumulated gradient."""
        self.grad = None

    def register_hook(self, hook: Hook) -> Callable[[], None]:
        """Call `hook(gradient)` when the gradient of this tensor is known.

        A tensor that the hook returns replaces the gradient. Returns a function that removes it.
        """
        if not self.requires_grad:
            raise GraphError("register_hook: the tensor requires no gradient")
        hooks = self._hook_list()
        hooks.append(hook)

        def remove() -> None:
            if hook in hooks:
                hooks.remove(hook)

        return remove

    def _hook_list(self) -> list[Hook]:
        if self.grad_fn is not None:
            return self.grad_fn.hooks_of(self.output_index)
        if self.hooks is None:
            self.hooks = []
        return self.hooks

    def retain_grad(self) -> Tensor:
        """Keep `.grad` of a tensor that is no leaf, too."""
        if not self.requires_grad:
            raise GraphError("retain_grad: the tensor requires no gradient")
        if self.grad_fn is not None:
            self.grad_fn.retain(self)
        return self

    def backward(
        self,
        gradient: ArrayLike | None = None,
        retain_graph: bool = False,
        create_graph: bool = False,
    ) -> None:
        """Sweep the graph backwards from here and accumulate `.grad` in the leaves.

        Args:
            gradient: the upstream gradient, of this tensor's shape; may be left out for one cell.
            retain_graph: keep the saved values for another sweep.
            create_graph: record the sweep itself, so that it can be differentiated.

        Raises:
            GraphError: no graph, a second sweep without `retain_graph`, a saved value was changed,
                or no gradient for more than one cell.
        """
        _methods["backward"](self, gradient, retain_graph, create_graph)

    # Words whose meaning the ops floor defines (`define_method`)

    __add__ = _word("add")
    __radd__ = _reflected("add")
    __sub__ = _word("sub")
    __rsub__ = _reflected("sub")
    __mul__ = _word("mul")
    __rmul__ = _reflected("mul")
    __truediv__ = _word("div")
    __rtruediv__ = _reflected("div")
    __pow__ = _word("pow")
    __rpow__ = _reflected("pow")
    __matmul__ = _word("matmul")
    __rmatmul__ = _reflected("matmul")
    __neg__ = _word("neg")
    __pos__ = _word("pos")
    __abs__ = _word("abs")
    __lt__ = _word("lt")
    __le__ = _word("le")
    __gt__ = _word("gt")
    __ge__ = _word("ge")
    __eq__ = _word("eq")  # type: ignore[assignment]
    __ne__ = _word("ne")  # type: ignore[assignment]
    __hash__ = object.__hash__
    __getitem__ = _word("getitem")

    def __setitem__(self, key: Any, value: ArrayLike) -> None:
        _methods["setitem"](self, key, value)

    abs = _word("abs")
    exp = _word("exp")
    log = _word("log")
    sqrt = _word("sqrt")
    pow = _word("pow")
    tanh = _word("tanh")
    sigmoid = _word("sigmoid")
    relu = _word("relu")
    clip = _word("clip")
    clamp = _word("clip")
    sum = _word("sum")
    mean = _word("mean")
    var = _word("var")
    std = _word("std")
    max = _word("max")
    min = _word("min")
    amax = _word("amax")
    amin = _word("amin")
    argmax = _word("argmax")
    argmin = _word("argmin")
    softmax = _word("softmax")
    log_softmax = _word("log_softmax")
    matmul = _word("matmul")
    reshape = _word("reshape")
    view = _word("reshape")
    flatten = _word("flatten")
    transpose = _word("transpose")
    permute = _word("permute")
    squeeze = _word("squeeze")
    unsqueeze = _word("unsqueeze")
    broadcast_to = _word("broadcast_to")
    expand = _word("broadcast_to")
    flip = _word("flip")
    astype = _word("astype")
    clone = _word("clone")

    def split(self, *args: Any, **options: Any) -> tuple[Tensor, ...]:
        """Pieces along an axis; see `ops.split`."""
        return _methods["split"](self, *args, **options)  # type: ignore[no-any-return]

    def chunk(self, *args: Any, **options: Any) -> tuple[Tensor, ...]:
        """Equal pieces along an axis; see `ops.chunk`."""
        return _methods["chunk"](self, *args, **options)  # type: ignore[no-any-return]

    @property
    def T(self) -> Tensor:
        """All axes in reverse order."""
        return _methods["permute"](self, tuple(range(self.ndim))[::-1])  # type: ignore[no-any-return]

    def float(self) -> Tensor:
        """The same values in float32."""
        return self.astype(np.float32)

    def double(self) -> Tensor:
        """The same values in float64."""
        return self.astype(np.float64)


def require_float(data: npt.NDArray[Any], what: str) -> None:
    """Raise a DTypeError unless the array is float32 or float64."""
    if data.dtype not in _FLOATS:
        raise DTypeError(
            f"{what}: only floating point has gradients",
            expected="float32 or float64",
            got=str(data.dtype),
            rule="convert first: x.astype(np.float32)",
        )


def tensor(
    data: ArrayLike, dtype: npt.DTypeLike | None = None, requires_grad: bool = False
) -> Tensor:
    """A leaf tensor.

    Args:
        data: an array (its memory is shared; another dtype than `dtype` is converted), anything
            that speaks DLPack (shared too), a tensor, a Python number or nested lists of them.
        dtype: the data type; by default arrays keep theirs and Python floats become float32.
        requires_grad: whether to accumulate gradients for it.

    Raises:
        DTypeError: a type other than float32, float64, integers and bool, or gradients for one that
            is not floating point.

    >>> tensor([[1.0, 2.0]], requires_grad=True)
    tensor([[1., 2.]], requires_grad=True)
    """
    if isinstance(data, Tensor):
        array = data.data
    elif isinstance(data, np.ndarray | np.generic):
        array = np.asarray(data)
    elif isinstance(data, Symbol):
        array = data  # type: ignore[assignment]  # it stands for an array
    elif hasattr(data, "__dlpack__"):
        array = np.from_dlpack(data)
    else:
        array = np.asarray(data)
        if array.dtype == np.float64 and dtype is None:
            array = array.astype(np.float32)
    if dtype is not None:
        array = array.astype(dtype, copy=False)
    _check_dtype(array)
    made = Tensor(array)
    if isinstance(data, Tensor) and array is data.data:
        made.version = data.version
    return made.requires_grad_() if requires_grad else made
