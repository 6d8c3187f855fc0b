"""How ONNX's operators on arrays read in our functions: arithmetic, reductions, shapes."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx_adapter import Node, operator
from onnx_operators import axis_of, ends_to_pairs, flat_pad

from rot180 import ops as F
from rot180.core import Tensor, tensor

if TYPE_CHECKING:
    from collections.abc import Callable

# ------------------------------------------------------------------------------------ arithmetic


def elementwise(name: str, function: Callable[[Tensor, Tensor], Tensor]) -> None:
    """An operator of two inputs, or a chain of it over any number of them."""

    @operator(name)
    def apply(node: Node) -> Tensor:
        return functools.reduce(function, [tensor(x) for x in node.inputs])


elementwise("Add", lambda x, y: x + y)
elementwise("Sum", lambda x, y: x + y)
elementwise("Sub", lambda x, y: x - y)
elementwise("Mul", lambda x, y: x * y)
elementwise("Div", lambda x, y: x / y)
elementwise("Pow", lambda x, y: x**y)
elementwise("Max", F.maximum)
elementwise("Min", F.minimum)
elementwise("Equal", lambda x, y: x == y)
elementwise("Greater", lambda x, y: x > y)
elementwise("GreaterOrEqual", lambda x, y: x >= y)
elementwise("Less", lambda x, y: x < y)
elementwise("LessOrEqual", lambda x, y: x <= y)
elementwise("MatMul", F.matmul)


@operator("Mean")
def mean_of_inputs(node: Node) -> Tensor:
    total = functools.reduce(lambda x, y: x + y, [tensor(x) for x in node.inputs])
    return total / len(node.inputs)


@operator("Clip")
def clip(node: Node) -> Tensor:
    low, high = (None if v is None else v.item() for v in (node.input(1), node.input(2)))
    if low is None and high is None:  # nothing to do; F.clip wants a bound
        return tensor(node.inputs[0])
    return F.clip(node.inputs[0], low, high)


@operator("Where")
def where(node: Node) -> Tensor:
    return F.where(*node.inputs)


@operator("Gemm")
def gemm(node: Node) -> Tensor:
    a, b = tensor(node.inputs[0]), tensor(node.inputs[1])
    z = (a.T if node.get("transA", 0) else a) @ (b.T if node.get("transB", 0) else b)
    z = node.get("alpha", 1.0) * z
    c = node.input(2)
    return z if c is None else z + node.get("beta", 1.0) * tensor(c)


# ------------------------------------------------------------------------------------ reductions


def reduction(name: str, function: Callable[..., Tensor]) -> None:
    @operator(name)
    def apply(node: Node) -> Tensor:
        x = tensor(node.inputs[0])
        axes = node.ints(1, "axes")
        if not axes:
            if node.get("noop_with_empty_axes", 0):
                return function(x, axis=(), keepdims=True)
            axes = None
        keep = bool(node.get("keepdims", 1))
        return function(x, axis=None if axes is None else tuple(axes), keepdims=keep)


reduction("ReduceSum", F.sum)
reduction("ReduceMean", F.mean)
reduction("ReduceMax", F.amax)
reduction("ReduceMin", F.amin)
reduction("ReduceProd", lambda x, **k: F.prod(x, **k))
reduction("ReduceLogSumExp", F.logsumexp)
reduction("ReduceLogSum", lambda x, **k: F.log(F.sum(x, **k)))
reduction("ReduceSumSquare", lambda x, **k: F.sum(x * x, **k))
reduction("ReduceL1", lambda x, **k: F.sum(F.abs(x), **k))
reduction("ReduceL2", lambda x, **k: F.sqrt(F.sum(x * x, **k)))


def arg_reduction(name: str, function: Callable[..., Tensor]) -> None:
    @operator(name)
    def apply(node: Node) -> Tensor:
        if node.get("select_last_index", 0):
            raise NotImplementedError("the last of several equals")
        keep = bool(node.get("keepdims", 1))
        return function(node.inputs[0], axis=axis_of(node, 0), keepdims=keep)


arg_reduction("ArgMax", F.argmax)
arg_reduction("ArgMin", F.argmin)

# ------------------------------------------------------------------------------------ shapes


@operator("Reshape")
def reshape(node: Node) -> Tensor:
    x, shape = node.inputs[0], node.ints(1)
    if not node.get("allowzero", 0):
        shape = [x.shape[i] if size == 0 else size for i, size in enumerate(shape)]
    return F.reshape(x, tuple(shape))


@operator("Transpose")
def transpose(node: Node) -> Tensor:
    x = node.inputs[0]
    return F.permute(x, tuple(node.get("perm", range(x.ndim)[::-1])))


@operator("Flatten")
def flatten(node: Node) -> Tensor:
    x, axis = node.inputs[0], axis_of(node, 1)
    axis = axis + x.ndim if axis < 0 else axis
    front = int(np.prod(x.shape[:axis], dtype=int))
    return F.reshape(x, (front, x.size // max(front, 1)))


@operator("Squeeze")
def squeeze(node: Node) -> Tensor:
    axes = node.ints(1, "axes")
    return F.squeeze(node.inputs[0], None if axes is None else tuple(axes))


@operator("Unsqueeze")
def unsqueeze(node: Node) -> Tensor:
    x = tensor(node.inputs[0])
    axes = node.ints(1, "axes")
    total = x.ndim + len(axes)
    for axis in sorted(axis % total for axis in axes):
        x = F.unsqueeze(x, axis)
    return x


@operator("Concat")
def concat(node: Node) -> Tensor:
    return F.concatenate(list(node.inputs), axis=node["axis"])


@operator("Split")
def split(node: Node) -> list[Tensor]:
    x, axis, sizes = node.inputs[0], axis_of(node, 0), node.ints(1, "split")
    if sizes is None:  # equal parts, the last one may be smaller
        sizes = -(-x.shape[axis] // node.outputs)
    return list(F.split(x, sizes, axis))


@operator("Slice")
def slices(node: Node) -> Tensor:
    x = tensor(node.inputs[0])
    starts, ends = node.ints(1), node.ints(2)
    axes = node.ints(3) or list(range(len(starts)))
    steps = node.ints(4) or [1] * len(starts)
    index: list[Any] = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        # A stop before the first cell is "none" in Python, -1 would mean the last cell.
        stop = None if step < 0 and end < -x.shape[axis] else end
        index[axis] = slice(start, stop, step)
    return x[tuple(index)]


@operator("Gather")
def gather(node: Node) -> Tensor:
    x, axis = tensor(node.inputs[0]), axis_of(node, 0)
    return x[(slice(None),) * (axis % x.ndim) + (node.inputs[1],)]


@operator("GatherElements")
def gather_elements(node: Node) -> Tensor:
    x, indices, axis = tensor(node.inputs[0]), node.inputs[1], axis_of(node, 0)
    grids = list(np.indices(indices.shape))
    grids[axis] = indices
    return x[tuple(grids)]


@operator("GatherND")
def gather_nd(node: Node) -> Tensor:
    x, indices, batches = tensor(node.inputs[0]), node.inputs[1], node.get("batch_dims", 0)
    found = tuple(np.moveaxis(indices, -1, 0))
    outer = [
        np.arange(size).reshape((-1,) + (1,) * (indices.ndim - 2 - i))
        for i, size in enumerate(x.shape[:batches])
    ]
    return x[(*outer, *found)]


@operator("Expand")
def expand(node: Node) -> Tensor:
    x = node.inputs[0]
    return F.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(node.ints(1))))


@operator("Tile")
def tile(node: Node) -> Tensor:
    x = tensor(node.inputs[0])
    for axis, times in enumerate(node.ints(1)):
        x = F.concatenate([x] * times, axis=axis)
    return x


@operator("OneHot")
def one_hot(node: Node) -> Tensor:
    indices, depth, (off, on) = node.inputs[0], int(node.inputs[1].item()), node.inputs[2]
    whole = np.asarray(indices).astype(np.int64)
    whole = np.where(whole < 0, whole + depth, whole)
    hot = F.one_hot(whole, depth)
    axis = axis_of(node)
    order = list(range(whole.ndim))
    order.insert(axis % hot.ndim, whole.ndim)
    return F.permute(F.where(hot != 0, on, off), tuple(order))


def blocks(x: Tensor, block: int, *, crd: bool) -> Tensor:
    """Depth to space by the definition, for the order of channels that is not PyTorch's."""
    if crd:
        return F.pixel_shuffle(x, block)
    n, c, h, w = x.shape
    split_up = F.reshape(x, (n, block, block, c // block**2, h, w))
    moved = F.permute(split_up, (0, 3, 4, 1, 5, 2))
    return F.reshape(moved, (n, c // block**2, h * block, w * block))


@operator("DepthToSpace")
def depth_to_space(node: Node) -> Tensor:
    return blocks(tensor(node.inputs[0]), node["blocksize"], crd=node.get("mode") == "CRD")


@operator("SpaceToDepth")
def space_to_depth(node: Node) -> Tensor:
    x, block = tensor(node.inputs[0]), node["blocksize"]
    if node.get("mode") == "CRD":
        return F.pixel_unshuffle(x, block)
    n, c, h, w = x.shape
    split_up = F.reshape(x, (n, c, h // block, block, w // block, block))
    moved = F.permute(split_up, (0, 3, 5, 1, 2, 4))
    return F.reshape(moved, (n, c * block**2, h // block, w // block))


@operator("Pad")
def pad(node: Node) -> Tensor:
    x, value = node.inputs[0], node.input(2)
    given, axes = ends_to_pairs(node.ints(1, "pads")), node.ints(3)
    pairs = [(0, 0)] * x.ndim
    for axis, pair in zip(axes or range(x.ndim), given, strict=True):
        pairs[axis] = pair
    while len(pairs) > 1 and pairs[0] == (0, 0):  # F.pad counts from the last axis
        del pairs[0]
    modes = {"edge": "replicate", "wrap": "circular"}
    mode = node.get("mode", "constant")
    fill = 0.0 if value is None else float(value)
    return F.pad(x, flat_pad(tuple(pairs)), modes.get(mode, mode), fill)


@operator("Resize", "Upsample")
def resize(node: Node) -> Tensor:
    """Ours: nearest by the floor of i·in/out, linear by cell centres or by corners."""
    x = node.inputs[0]
    axes = [axis % x.ndim for axis in node.get("axes", range(x.ndim))]
    old = len(node.inputs) == 2  # Upsample and the first Resize: (X, scales)
    scales, sizes = node.input(1 if old else 2), node.ints(3)
    size, factor = list(x.shape), [1.0] * x.ndim
    for i, axis in enumerate(axes):
        if sizes is None:
            factor[axis] = float(scales[i])
        else:
            size[axis] = sizes[i]
    if tuple(size[:2]) != x.shape[:2] or factor[:2] != [1.0, 1.0]:
        raise NotImplementedError("batch and channels stay")
    target: dict[str, Any] = {"size": tuple(size[2:])}
    if sizes is None:
        target = {"scale_factor": tuple(factor[2:])}
    mode = node.get("mode", "nearest")
    if mode == "cubic" or node.get("antialias", 0):
        raise NotImplementedError("cubic or antialiased")
    corners = node.get("coordinate_transformation_mode", "half_pixel")
    if mode == "linear":
        words = {1: "linear", 2: "bilinear", 3: "trilinear"}
        return F.interpolate(
            x,
            **target,
            mode=words[x.ndim - 2],
            align_corners=corners == "align_corners",
        )
    return F.interpolate(x, mode="nearest", **target)
