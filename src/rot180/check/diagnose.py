"""`diagnose`: which mistake is it? A backward pass, or its arrays, against the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rot180.check.catalogue import Family, family_of, function_family
from rot180.check.diagnosis import Diagnosis
from rot180.check.judge import case_of, finding_of, question_for
from rot180.check.noise import require_finite, spacing
from rot180.check.rounds import diagnose_code
from rot180.check.subject import as_array
from rot180.core import Array
from rot180.errors import ArgumentError, DataError, DTypeError

__all__ = ["diagnose"]


def diagnose(
    operation: str | Path | Callable[..., Any],
    code: Any = None,
    /,
    *inputs: Any,
    noise: float = 0.0,
    seed: int = 0,
    **named: Any,
) -> Diagnosis:
    """Name the mistake in a backward pass: the simplest one that makes exactly these arrays.

    Every entry of the catalogue is a small wrong backward pass made of the engine's own
    declarations. It is computed for the given arrays and compared with what came, cell by cell,
    within the noise of the data type.

    Args:
        operation: its name, as in `rot180.ops` ("conv2d", "max_pool2d", "cross_entropy", ...); or
            a `.npz` with the arrays and options, and the name under "operation"; or a function of
            tensors of yours, whose graph is then looked at (paths that were not added up).
        code: `backward(g, x, ...)`, a pair (forward, backward), a class with both, or a `Function`
            class; left out where the gradients are given as arrays.
        *inputs: x, w, b, ... for the code; without them inputs are chosen that tell all
            mistakes apart.
        noise: what is allowed besides rounding, as a share of the largest sum of terms.
        seed: of the numbers that are chosen.
        **named: operands (x=, w=, b=, g=), gradients (dx=, dw=, db=), and the operation's options
            (stride=, padding=, ...).

    Returns:
        A `Diagnosis`: true where all is right; prints the mistake, the cells that speak for it,
        the algebra and the fix. Where several mistakes fit, it carries an input that decides.

    Raises:
        ArgumentError: an unknown operation or name, no gradient at all.
        ShapeError: operands that do not fit together.
        NumericsError: NaN or infinity.

    >>> def backward(g, x, w):
    ...     turned = w[:, :, ::-1, ::-1].swapaxes(0, 1)
    ...     dx = rt.ops.conv2d(g, w.swapaxes(0, 1), padding="full").data  # should be: turned
    ...     return dx, rt.ops.conv_weight_grad(x, w.shape, g).data
    >>> found = diagnose("conv2d", backward)
    >>> found["dx"].name, found["dw"].name
    ('kernel not turned', 'right')
    """
    if callable(operation):
        return _of_function(operation, code, inputs, named, noise, seed)
    if isinstance(operation, Path) or operation.endswith(".npz"):
        operation, loaded = _load(Path(operation))
        named = loaded | named
    family = family_of(operation)
    arrays, gradients, options = _sorted(family, operation, named)
    if code is None:
        if inputs:
            raise ArgumentError(
                "diagnose: arrays without code are given by name, as in x=..., g=..."
            )
        return _of_arrays(family, operation, arrays, gradients, options, noise, seed)
    if gradients:
        raise ArgumentError("diagnose: give code or gradients, not both", got=", ".join(gradients))
    arrays |= {n: as_array(a) for n, a in zip(family.inputs, inputs, strict=False)}
    return diagnose_code(family, operation, code, arrays, options, noise, seed)


def _of_function(
    f: Callable[..., Any], code: Any, inputs: tuple[Any, ...], named: dict[str, Any],
    noise: float, seed: int,
) -> Diagnosis:  # fmt: skip
    count = len(inputs) or sum(name in named for name in ("x", "w", "b"))
    if not 1 <= count <= 3:
        raise ArgumentError(
            "diagnose: a function of your own needs its inputs",
            expected="one to three arrays, as x, w, b",
            got=str(count),
        )
    family = function_family(f, count)
    arrays, given, options = _sorted(family, "function", named)
    if code is None:
        return _of_arrays(family, "function", arrays, given, options, noise, seed)
    arrays |= {n: as_array(a) for n, a in zip(family.inputs, inputs, strict=False)}
    return diagnose_code(family, "function", code, arrays, options, noise, seed)


# What was given


def _load(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            found: dict[str, Any] = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path}: no arrays can be read", got=str(error).splitlines()[0]) from error
    if "operation" not in found:
        raise DataError(f"{path}: no operation", expected='a string under "operation"')
    name = str(found.pop("operation"))
    return name, found


def _sorted(
    family: Family, operation: str, named: Mapping[str, Any]
) -> tuple[dict[str, Array], dict[str, Array], dict[str, Any]]:
    """Operands, gradients and options, out of one dictionary."""
    arrays: dict[str, Array] = {}
    gradients: dict[str, Array] = {}
    options: dict[str, Any] = {}
    known = dict(family.gradients)
    for name, value in named.items():
        if value is None:
            continue
        if name in (*family.inputs, "g"):
            arrays[name] = as_array(value)
        elif name in known:
            gradients[name] = as_array(value)
        elif name in family.options:
            options[name] = _plain(value)
        else:
            raise ArgumentError(
                f"diagnose: {operation} has no {name!r}",
                expected="one of " + ", ".join((*family.inputs, "g", *known, *family.options)),
            )
    for name, array in (*arrays.items(), *gradients.items()):
        if array.dtype.kind not in "fiub":
            raise DTypeError(f"diagnose: {name}", expected="numbers", got=str(array.dtype))
        require_finite("diagnose", name, array)
    return arrays, gradients, options


def _plain(value: Any) -> Any:
    """An option as Python data: arrays of an npz become numbers, strings and tuples."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return tuple(map(_plain, value)) if isinstance(value, list) else value


def _of_arrays(
    family: Family, operation: str, arrays: dict[str, Array], gradients: dict[str, Array],
    options: dict[str, Any], noise: float, seed: int,
) -> Diagnosis:  # fmt: skip
    if not gradients:
        raise ArgumentError(
            "diagnose: no gradient",
            expected="at least one of " + ", ".join(d for d, _ in family.gradients),
            rule="or give the code that makes them: diagnose(operation, backward)",
        )
    case = case_of(family, operation, arrays, options)
    epsilon = spacing(*arrays.values(), *gradients.values())
    findings = tuple(
        finding_of(family, case, name, value, epsilon, noise) for name, value in gradients.items()
    )
    return Diagnosis(operation, findings, question_for(family, case, findings, seed), (), case)
