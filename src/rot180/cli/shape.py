"""`rot180 shape`: the integers of a layer, or of a chain of layers, without any array."""

from __future__ import annotations

import re
import shlex
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from rot180.cli.options import as_json, emit_json, sizes
from rot180.errors import ArgumentError
from rot180.window import ReceptiveField, Window, pool_divisors, pool_window, transposed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rot180.check import OutputPadding, PaddingRule
    from rot180.window.padding import Padding

__all__ = ["shape"]

_OPERATION = re.compile(r"(conv|conv_transpose|max_pool|avg_pool)([123])d")


@dataclass(frozen=True)
class _Layer:
    """One layer at one input size, with everything that is said about it."""

    operation: str
    window: Window
    before: tuple[int, ...]
    after: tuple[int, ...]
    arithmetic: tuple[str, ...]
    field: ReceptiveField | None
    divisors: tuple[tuple[int, ...], ...] = ()


def _layer_options(command: Any) -> Any:
    for option in reversed(
        (
            click.option(
                "-k", "--kernel-size", type=sizes, required=True, help="Such as 3 or 3x5."
            ),
            click.option("-s", "--stride", type=sizes, help="1; of a pool: the kernel size."),
            click.option(
                "-p",
                "--padding",
                default="0",
                help="A number, one per axis, before.after per axis (1.2x0.1), or a word: valid, "
                "same, full, same_upper, same_lower.",
            ),
            click.option("-d", "--dilation", type=sizes, default="1"),
            click.option("-g", "--groups", type=int, default=1),
            click.option("--output-padding", type=sizes, default="0", help="conv_transpose only."),
            click.option("--ceil-mode", is_flag=True, help="Pools only."),
            click.option("--exclude-pad", is_flag=True, help="avg_pool: padding is not counted."),
        )
    ):
        command = option(command)
    return command


@click.command()
@click.argument("operation")
@_layer_options
@click.option("-i", "--input", "start", type=sizes, required=True, help="Rows and columns: 28x28.")
@click.option("--then", "more", multiple=True, help='A further layer, as "max_pool2d -k 2".')
@click.option("--want", type=sizes, help="conv_transpose: list what gives this output size.")
@click.option("--rules", is_flag=True, help="conv: all rules of padding side by side.")
@as_json
def shape(
    operation: str, start: tuple[int, ...], more: tuple[str, ...], want: tuple[int, ...] | None,
    rules: bool, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Compute sizes, remainder, receptive field and adjoint windows of OPERATION.

    OPERATION is conv2d, conv_transpose2d, max_pool2d or avg_pool2d, with 1d and 3d likewise.
    """
    layers = [_compute(operation, options, start, None)]
    for text in more:
        name, given = _parse(text)
        layers.append(_compute(name, given, layers[-1].after, layers[-1]))
    solutions = None if want is None else _solutions(operation, options, layers[0], want)
    side_by_side = _rules(operation, options, layers[0]) if rules else None
    if as_json:
        found: dict[str, Any] = {"layers": [_as_dict(layer) for layer in layers]}
        if solutions is not None:
            found["solutions"] = [asdict(solution) for solution in solutions]
        if side_by_side is not None:
            found["padding_rules"] = [asdict(rule) for rule in side_by_side]
        emit_json(found)
        return
    for layer in layers:
        _print(layer)
    if want is not None and solutions is not None:
        click.echo(f"{_join(layers[0].before)} -> {_join(want)}")
        for solution in solutions or ("no padding and output_padding give this size",):
            click.echo(f"  {solution}")
    for rule in side_by_side or ():
        click.echo(f"  {rule}")


def _solutions(
    operation: str, options: dict[str, Any], layer: _Layer, want: tuple[int, ...]
) -> tuple[OutputPadding, ...]:
    """Every (padding, output_padding), with the stride that was given or any from 1 to 4."""
    from rot180.check import output_paddings

    if not operation.startswith("conv_transpose"):
        raise ArgumentError(f"{operation}: --want is for conv_transpose")
    axes = len(layer.before)
    stride = None if options["stride"] is None else _per_axis(options["stride"])
    return output_paddings(
        layer.before, _per_axis(want), layer.window.kernel, stride, layer.window.dilation, axes=axes
    )


def _rules(operation: str, options: dict[str, Any], layer: _Layer) -> tuple[PaddingRule, ...]:
    from rot180.check import padding_rules

    if not re.fullmatch(r"conv[123]d", operation):
        raise ArgumentError(f"{operation}: --rules is for convolutions")
    window = layer.window
    return padding_rules(layer.before, window.kernel, window.stride, window.dilation)


@click.command()
@click.argument("operation")
@_layer_options
def _further(operation: str, **options: Any) -> None:
    """The options of a layer after the first."""


def _parse(text: str) -> tuple[str, dict[str, Any]]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise click.UsageError(f"--then {text!r}: {error}") from error
    given = dict(_further.make_context("--then", words).params)
    return str(given.pop("operation")), given


def _per_axis(values: tuple[int, ...]) -> int | tuple[int, ...]:
    return values[0] if len(values) == 1 else values


def _padding(text: str) -> Padding:
    if re.fullmatch(r"-?\d+([x,]-?\d+)*", text):
        numbers = tuple(int(part) for part in re.split("[x,]", text))
        return numbers[0] if len(numbers) == 1 else numbers
    if re.fullmatch(r"\d+\.\d+([x,]\d+\.\d+)*", text):
        pairs = (part.split(".") for part in re.split("[x,]", text))
        return tuple((int(before), int(after)) for before, after in pairs)
    return text


def _compute(
    operation: str, options: dict[str, Any], start: tuple[int, ...], previous: _Layer | None
) -> _Layer:
    match = _OPERATION.fullmatch(operation)
    if match is None:
        raise ArgumentError(
            f"shape: unknown operation {operation!r}",
            expected="conv, conv_transpose, max_pool or avg_pool, followed by 1d, 2d or 3d",
        )
    kind, axes = match[1], int(match[2])
    if len(start) == 1:
        start = start * axes
    if len(start) != axes:
        raise ArgumentError(
            f"{operation}: --input", expected=f"{axes} sizes", got="x".join(map(str, start))
        )
    kernel, dilation = _per_axis(options["kernel_size"]), _per_axis(options["dilation"])
    stride = None if options["stride"] is None else _per_axis(options["stride"])
    padding = _padding(options["padding"])
    is_pool = kind.endswith("pool")
    for name, used, default in (
        ("ceil_mode", is_pool, False),
        ("exclude_pad", kind == "avg_pool", False),
        ("output_padding", kind == "conv_transpose", (0,)),
        ("groups", not is_pool, 1),
    ):
        if not used and options[name] != default:
            raise ArgumentError(f"{operation}: --{name.replace('_', '-')} does not apply")
    if is_pool:
        window = pool_window(
            kernel, stride, padding, dilation, options["ceil_mode"], input_size=start, op=operation
        )
    else:
        window = Window.of(
            kernel,
            1 if stride is None else stride,
            padding,
            dilation,
            options["groups"],
            axes=axes,
            input_size=start,
            op=operation,
        )
    field = ReceptiveField.identity(axes) if previous is None else previous.field
    if kind == "conv_transpose":
        extra = _per_axis(options["output_padding"])
        window, end = transposed(window, start, extra, op=operation)
        # an output of a transposed convolution sees a pattern that repeats, not one field
        arithmetic = tuple(
            f"({size} - 1)*{axis.stride} - {axis.before} - {axis.after} + {axis.effective} + {rest}"
            f" = {result}"
            for size, axis, rest, result in zip(
                start, window.axes, window.remainder(end), end, strict=True
            )
        )
        return _Layer(operation, window, start, end, arithmetic, None)
    end = window.output_size(start, op=operation)
    field = field.then(window) if field is not None else None
    divisors: tuple[tuple[int, ...], ...] = ()
    if kind == "avg_pool" and set(window.dilation) == {1}:
        divisors = pool_divisors(
            kernel, stride, padding, options["ceil_mode"], not options["exclude_pad"],
            input_size=start, op=operation,
        )  # fmt: skip
    return _Layer(operation, window, start, end, window.arithmetic(start), field, divisors)


def _as_dict(layer: _Layer) -> dict[str, Any]:
    # a transposed convolution is described by the convolution that it is the adjoint of
    is_transposed = layer.operation.startswith("conv_transpose")
    large = layer.after if is_transposed else layer.before
    window = layer.window
    adjoint, weights = window.input_gradient(large), window.weight_gradient(large)
    found: dict[str, Any] = {
        "operation": layer.operation,
        "window": window.name,
        "input": layer.before,
        "output": layer.after,
        "arithmetic": layer.arithmetic,
        "remainder": window.remainder(large),
        "padding": [(axis.before, axis.after) for axis in window.axes],
        # of a transposed convolution this is the forward pass, and its gradient is the window's
        "forward" if is_transposed else "input_gradient": {
            "dilate": [record.dilate for record in adjoint],
            "padding": [(record.window.before, record.window.after) for record in adjoint],
        },
        "weight_gradient": {
            "dilate": [record.dilate for record in weights],
            "padding": [(record.window.before, record.window.after) for record in weights],
            "stride": [record.window.stride for record in weights],
            "keep": [record.taps for record in weights],
            "surplus": [record.surplus for record in weights],
        },
    }
    if layer.field is not None:
        field = layer.field
        found["receptive_field"] = {"size": field.size, "jump": field.jump, "start": field.start}
    if layer.divisors:
        found["divisors"] = layer.divisors
    if is_transposed:
        found["overlap"] = _overlap(layer)
    if layer.operation.startswith("max_pool"):
        del found["input_gradient"]  # goes to the cells that were chosen, which numbers decide
    if not layer.operation.startswith("conv"):
        del found["weight_gradient"]
    return found


def _print(layer: _Layer) -> None:
    found = _as_dict(layer)
    rows = [
        ("window", found["window"]),
        ("arithmetic", "; ".join(found["arithmetic"])),
        ("remainder", f"{_join(found['remainder'])} cells at the end that no window reaches"),
        ("padding", f"{_pads(found['padding'])} (before, after)"),
    ]
    if "receptive_field" in found:
        field = found["receptive_field"]
        starts = ", ".join(str(start) for start in field["start"])
        text = f"{_join(field['size'])} input cells, every {_join(field['jump'])}, from ({starts})"
        rows.append(("sees", text))
    for key, name, what in (
        ("forward", "forward", "input"),
        ("input_gradient", "d input", "g"),
    ):
        if key in found:
            how = f"{what} dilated by {_join(found[key]['dilate'])}, padded "
            how += f"{_pads(found[key]['padding'])}, correlated with the kernel turned by 180°"
            rows.append((name, how))
    if "forward" in found:
        rows.append(("d input", f"the convolution {found['window']} of g"))
    if "weight_gradient" in found:
        weights = found["weight_gradient"]
        x, g = ("g", "the input") if "forward" in found else ("input", "g")
        how = f"{x} padded {_pads(weights['padding'])}, correlated with {g} dilated by "
        how += f"{_join(weights['dilate'])} at stride {_join(weights['stride'])}"
        if any(weights["surplus"]):
            pairs = zip(weights["keep"], weights["surplus"], strict=True)
            how += f"; of {_join([keep + more for keep, more in pairs])} the first "
            how += f"{_join(weights['keep'])} kept"
        rows.append(("d weight", how))
    if "divisors" in found:
        per_axis = " x ".join("(" + " ".join(map(str, axis)) + ")" for axis in found["divisors"])
        rows.append(("divisors", f"{per_axis}, multiplied: forward and backward alike"))
    if "overlap" in found:
        rows.append(("overlap", found["overlap"]["advice"]))
    click.echo(f"{layer.operation}  {_join(layer.before)} -> {_join(layer.after)}")
    for name, text in rows:
        click.echo(f"  {name:10}  {text}")


def _overlap(layer: _Layer) -> dict[str, Any]:
    """How many products the cells of each axis sum, and whether they are as many everywhere."""
    from rot180.check import overlap

    window = layer.window
    counts = [[0] * size for size in layer.after]
    for i, (axis, size) in enumerate(zip(window.axes, layer.after, strict=True)):
        for _, _, h in axis.taps(size):
            counts[i][h] += 1
    found = overlap((1,) * len(window.axes), window.kernel, window.stride, 0, 0, window.dilation)
    return {"even": found.is_even, "counts": counts, "advice": found.advice}


def _join(values: Sequence[int]) -> str:
    return "x".join(str(value) for value in values)


def _pads(pairs: Sequence[tuple[int, int]]) -> str:
    return " x ".join(str(pair) for pair in pairs)
