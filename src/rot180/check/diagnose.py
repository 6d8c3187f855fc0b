"""`diagnose`: which mistake is it? A backward pass, or its arrays, against the catalogue."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rot180.check.adapters import accepted, run_code
from rot180.check.catalogue import Family, Trial, family_of
from rot180.check.diagnosis import Diagnosis, Finding, Question, algebra_lines
from rot180.check.discriminate import applies, collisions, trial_case
from rot180.check.mistake import Case
from rot180.check.noise import require_finite, require_shape, spacing
from rot180.check.search import Explanation, Search
from rot180.check.subject import as_array
from rot180.core import Array
from rot180.errors import ArgumentError, DataError, DTypeError, ShapeError

__all__ = ["diagnose"]

_SIZES = 32
"""How many sizes are tried where code comes without inputs."""

_ROUNDS = 3
"""How often code is run again on an input that decides between explanations."""


def diagnose(
    operation: str | Path,
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
            a `.npz` with the arrays and options, and the name under "operation".
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
    return _of_code(family, operation, code, arrays, options, noise, seed)


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


def _wide(array: Array) -> Array:
    return array if array.dtype.kind in "iub" else np.array(array, np.float64, order="C")


def _case(
    family: Family, operation: str, arrays: Mapping[str, Array], options: Mapping[str, Any]
) -> Case:
    """The case of these operands; g must have the output's shape."""
    missing = [name for name in (family.inputs[0], "g") if name not in arrays]
    missing += [name for name in family.required if name not in arrays]
    if missing:
        raise ArgumentError(
            f"diagnose: {operation} needs {', '.join(dict.fromkeys(missing))}",
            got=", ".join(arrays) or "no arrays",
        )
    wide = {name: _wide(a) for name, a in arrays.items()}
    operands = {name: a for name, a in wide.items() if name != "g"}
    output = family.forward(operation, operands, options)
    require_shape("diagnose", "g (the output's)", arrays["g"].shape, output.shape)
    return family.prepare(operation, wide, options)


# Arrays


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
    case = _case(family, operation, arrays, options)
    epsilon = spacing(*arrays.values(), *gradients.values())
    findings = tuple(
        _finding(family, case, name, value, epsilon, noise) for name, value in gradients.items()
    )
    return Diagnosis(operation, findings, _question(family, case, findings, seed), (), case)


def _finding(
    family: Family, case: Case, gradient: str, user: Array, epsilon: float, noise: float
) -> Finding:
    answer = case.answers.get(gradient)
    if answer is None:
        raise ArgumentError(f"diagnose: {case.operation} has no {gradient} with these operands")
    if user.shape != answer.value.shape and _squeezed(user) == _squeezed(answer.value):
        user = user.reshape(answer.value.shape)
    user = np.asarray(user, np.float64)
    search = Search(case, gradient, family.mistakes_of(gradient), user, epsilon, noise)
    if search.is_right():
        return Finding(gradient, "right", size=user.size)
    found = search.run()
    fits = user.shape == answer.value.shape
    wrong = search.differs(user) if fits else np.ones(user.shape, bool)
    if not found:
        return Finding(
            gradient, "unknown", wrong=int(wrong.sum()), size=user.size,
            examples=_examples(user, answer.value, wrong), nearest=search.nearest,
            tried=search.tried, algebra=_shape_line(user, answer.value),
        )  # fmt: skip
    best = found[0]
    cell = tuple(int(i) for i in np.argwhere(wrong)[0])
    return Finding(
        gradient, "mistake" if len(found) == 1 else "several", tuple(found),
        int(wrong.sum()), int(wrong.sum()), user.size, _examples(user, answer.value, wrong),
        (*_shape_line(user, answer.value), *algebra_lines(case, gradient, best, cell)),
        tried=search.tried,
    )  # fmt: skip


def _squeezed(array: Array) -> tuple[int, ...]:
    return tuple(size for size in array.shape if size != 1)


def _shape_line(user: Array, right: Array) -> tuple[str, ...]:
    return () if user.shape == right.shape else (f"shape {user.shape}, should be {right.shape}",)


def _examples(
    user: Array, right: Array, wrong: Array
) -> tuple[tuple[tuple[int, ...], float, float], ...]:
    if user.shape != right.shape:
        return ()
    cells = [tuple(int(i) for i in cell) for cell in np.argwhere(wrong)[:3]]
    return tuple((cell, float(user[cell]), float(right[cell])) for cell in cells)


# What would decide


def _question(
    family: Family, case: Case, findings: tuple[Finding, ...], seed: int
) -> Question | None:
    """The first input at which the explanations of every finding differ; sizes before options."""
    open_ones = [f for f in findings if f.verdict == "several"]
    if not open_ones:
        return None
    names = tuple(dict.fromkeys(name for f in open_ones for name in f.names))
    trials = tuple(family.trials(case.operation))
    options = tuple(case.options.items())
    small = (Trial(trial.shapes, options) for trial in trials[:_SIZES])
    for trial in (*dict.fromkeys(small), *_resized(case, family), *trials):
        other = trial_case(family, case.operation, trial, seed)
        if other is not None and all(_decides(other, f) for f in open_ones):
            return Question(case.operation, other.options, other.arrays, names)
    return None


def _decides(case: Case, finding: Finding) -> bool:
    candidates = [e.mistakes for e in finding.explanations if e.mistakes and not e.text]
    if finding.gradient not in case.answers or len(candidates) < 2:
        return False
    pairs, hidden = collisions(case, finding.gradient, candidates)
    return not pairs and not hidden


def _resized(case: Case, family: Family) -> tuple[Trial, ...]:
    """The same options at other sizes: more images, more rows."""
    shapes = {name: a.shape for name, a in case.arrays.items() if name in family.inputs}
    options = tuple(case.options.items())
    found = []
    for batch in (3, 5):
        for more in range(0 if batch != shapes["x"][0] else 1, 7):
            spatial = tuple(size + more + i for i, size in enumerate(shapes["x"][2:]))
            x = (batch, *shapes["x"][1:2], *spatial)
            found.append(Trial(tuple((shapes | {"x": x}).items()), options))
    return tuple(found)


# Code


def _of_code(
    family: Family, operation: str, code: Any, arrays: dict[str, Array],
    options: dict[str, Any], noise: float, seed: int,
) -> Diagnosis:  # fmt: skip
    operands = arrays if family.inputs[0] in arrays else None
    first = _chosen(family, operation, operands, options, seed)
    if operands is None:
        taken = (*accepted(code, family.inputs), *family.required, "g")
        first = {name: a for name, a in first.items() if name in taken}
    diagnosis = _run(family, operation, code, first, options, noise, seed)
    for round in range(1, _ROUNDS):
        question = diagnosis.question
        if question is None or dict(question.options) != dict(
            diagnosis.case.options if diagnosis.case else {}
        ):
            break
        again = {n: a for n, a in question.operands.items() if n in first}
        dtype = first["g"].dtype
        again = {n: a.astype(dtype) if a.dtype.kind == "f" else a for n, a in again.items()}
        second = _run(family, operation, code, again, options, noise, seed + round)
        diagnosis = _both(diagnosis, second)
    return diagnosis


def _chosen(
    family: Family, operation: str, operands: dict[str, Array] | None,
    options: dict[str, Any], seed: int,
) -> dict[str, Array]:  # fmt: skip
    """The operands that were given, or ones of this operation with a random g."""
    rng = np.random.default_rng(seed)
    if operands is not None:
        given = dict(operands)
        if "g" not in given:
            wide = {n: _wide(a) for n, a in given.items()}
            z = family.forward(operation, wide, options)
            dtype = next(a.dtype for a in given.values() if a.dtype.kind == "f")
            given["g"] = rng.standard_normal(z.shape).astype(dtype)
        return given
    best: tuple[int, Case] | None = None
    for trial in itertools.islice(_sizes(family, operation, options), _SIZES):
        case = trial_case(family, operation, trial, seed)
        if case is None:
            continue
        missed = 0
        for gradient, _ in family.gradients:
            if gradient in case.answers:
                singles = [(m,) for m in family.mistakes_of(gradient) if applies(m, case)]
                pairs, hidden = collisions(case, gradient, singles)
                missed += len(pairs) + 10 * len(hidden)  # what does not show is missed for good
        if best is None or missed < best[0]:
            best = (missed, case)
    if best is None:
        raise ShapeError(
            f"diagnose: no inputs were found for {operation} with these options",
            got=", ".join(f"{k}={v}" for k, v in options.items()),
            rule="give x, w, ... yourself",
        )
    return best[1].arrays


def _sizes(family: Family, operation: str, options: dict[str, Any]) -> Iterator[Trial]:
    """Sizes for given options: those of the family, with every remainder a stride may leave."""
    given = tuple(options.items())
    seen = set()
    for trial in family.trials(operation):
        shapes = dict(trial.shapes)
        small = (*shapes["x"][:2], *(size % 3 + 4 for size in shapes["x"][2:]))
        if trial.shapes[1:] in seen and len(small) > 2:
            continue
        seen.add(trial.shapes[1:])
        for more in range(4 if len(small) > 2 else 1):
            x = (*small[:2], *(size + more for size in small[2:]))
            yield Trial((("x", x), *trial.shapes[1:]), given)
        yield Trial(trial.shapes, given)


def _run(
    family: Family, operation: str, code: Any, arrays: dict[str, Array],
    options: dict[str, Any], noise: float, seed: int,
) -> Diagnosis:  # fmt: skip
    for name, array in arrays.items():
        require_finite("diagnose", name, array)
    case = _case(family, operation, arrays, options)
    operands = {n: arrays[n] for n in family.inputs if n in arrays}
    output, made, notes = run_code(code, operands, arrays["g"])
    came = {name: value for name, value in made.items() if value is not None}
    for name, value in came.items():
        require_finite("diagnose", f"your d{name}", value)
    notes += _narrowed(operands, came)
    epsilon = spacing(*arrays.values(), *came.values())
    if output is not None:
        notes = [*notes, *_forward_note(family, operation, arrays, options, output, epsilon)]
    wanted = {operand: gradient for gradient, operand in family.gradients}
    findings = [
        Finding(wanted[name], "missing")
        if value is None
        else _finding(family, case, wanted[name], value, epsilon, noise)
        for name, value in made.items()
        if name in wanted and operands[name].dtype.kind == "f"
    ]
    if not findings:
        raise ArgumentError("diagnose: the code returned no gradient")
    question = _question(family, case, tuple(findings), seed)
    return Diagnosis(operation, tuple(findings), question, tuple(notes), case)


def _narrowed(operands: Mapping[str, Array], made: Mapping[str, Array]) -> list[str]:
    """Gradients that came back in a coarser data type than their operand."""
    return [
        f"d{name} is {value.dtype}, {name} is {operands[name].dtype}: precision was lost"
        for name, value in made.items()
        if value.dtype.kind == "f" and value.dtype.itemsize < operands[name].dtype.itemsize
    ]


def _forward_note(
    family: Family, operation: str, arrays: Mapping[str, Array], options: Mapping[str, Any],
    output: Array, epsilon: float,
) -> list[str]:  # fmt: skip
    operands = {n: _wide(a) for n, a in arrays.items() if n != "g"}
    right = family.forward(operation, operands, options)
    given = ", ".join(f"{k}={v}" for k, v in options.items()) or "default options"
    if output.shape != right.shape and output.size != right.size:
        return [
            f"your forward pass gives shape {output.shape}, {operation} with {given} {right.shape}"
        ]
    off = float(np.abs(output.reshape(right.shape) - right).max(initial=0))
    scale = float(np.abs(right).max(initial=0)) + 1e-300
    if off > 1e4 * epsilon * scale:
        off_by = f"your forward pass is not {operation} with {given} (off by up to {off:.2g}): "
        return [off_by + "rot180 identify finds out which convention it follows"]
    return []


def _both(first: Diagnosis, second: Diagnosis) -> Diagnosis:
    """What is said after a second look: explanations that fit both times."""
    findings = []
    for old in first.findings:
        new = next((f for f in second.findings if f.gradient == old.gradient), old)
        kept = tuple(e for e in old.explanations if e.name in new.names)
        if old.verdict != "several" or not kept:
            findings.append(old if new.verdict == "right" else new)
            continue
        verdict = "mistake" if len(kept) == 1 else "several"
        findings.append(_replaced(old, verdict, kept, first.case))
    question = second.question if any(f.verdict == "several" for f in findings) else None
    notes = tuple(dict.fromkeys((*first.notes, *second.notes)))
    return Diagnosis(first.operation, tuple(findings), question, notes, first.case)


def _replaced(
    old: Finding, verdict: str, kept: tuple[Explanation, ...], case: Case | None
) -> Finding:
    cell = old.examples[0][0] if old.examples else ()
    algebra = algebra_lines(case, old.gradient, kept[0], cell) if case and cell else ()
    return Finding(
        old.gradient, verdict, kept, old.cells, old.wrong, old.size, old.examples, algebra,
        tried=old.tried,
    )  # fmt: skip
