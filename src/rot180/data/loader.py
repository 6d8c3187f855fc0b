"""Batches: seeded order, seeded augmentation, resumable at the exact next batch."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from rot180.data.imageset import ImageSet
from rot180.data.prefetch import ahead
from rot180.data.transforms import Compose, Normalize
from rot180.errors import ArgumentError, DataError, DTypeError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from numpy.typing import NDArray

    from rot180.data.transforms import Transform

    Batch: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int64]]


class Dataset(Protocol):
    """Anything with a length whose items are (image, label)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[Any, Any]: ...


@dataclass(eq=False)
class _Epoch:
    """One pass: its own generator, so that a pass within a pass does not disturb it.

    `now` is the generator's state after the batch just yielded, where more are made ahead.
    """

    number: int
    generator: np.random.Generator
    start: dict[str, Any]
    position: int = 0
    now: dict[str, Any] | None = None


class DataLoader:
    """Batches of a data set, in order or shuffled.

    The loader is not its own iterator: every `for` loop is a pass of its own, with a generator of
    its own that is drawn from the loader's when the pass begins; it gives the permutation, then
    the numbers of the transform. So loops may nest, and a pass is the same whatever happens beside.

    Args:
        dataset: an `ImageSet`, or any object with `__len__` and `__getitem__` → (image, label).
        batch_size: images per batch.
        shuffle: draw a new order for each pass. (Never on by default.)
        collate_fn: turns the list of a batch's samples into what is yielded, as it stands.
        drop_last: leave out a last batch that is smaller than the others.
        generator: a seed, or a Generator of PCG64 to draw from; None takes fresh entropy, which
            `state_dict` still records.
        transform: called with the batch and the pass's generator.
        prefetch: batches that a background thread makes ahead; the batches are the same. None: 2
            for an `ImageSet` whose transform is made of this library's and does more than
            normalise, else 0, for what is the user's own may not be made for another thread.

    Yields:
        (x, y): x contiguous float32 (N, C, H, W), after the transform; uint8 is divided by 255.
        y int64 (N,).

    Raises:
        ArgumentError: batch_size below 1, prefetch below 0, a generator that is no PCG64,
            collate_fn together with transform, a data set without length or items.
        DTypeError: images neither uint8 nor float, labels no integers.
        ShapeError: images of one batch differ in shape.

    >>> images = ImageSet(np.zeros((5, 1, 8, 8), np.uint8), np.arange(5), tuple("abcde"), "five")
    >>> [y.tolist() for x, y in DataLoader(images, batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        collate_fn: Callable[[list[tuple[Any, Any]]], Batch] | None = None,
        drop_last: bool = False,
        generator: np.random.Generator | int | None = None,
        transform: Transform | None = None,
        prefetch: int | None = None,
    ) -> None:
        if not isinstance(batch_size, int | np.integer) or batch_size is True or batch_size < 1:
            raise ArgumentError(
                "DataLoader: batch_size", expected="an integer of 1 or more", got=f"{batch_size!r}"
            )
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            raise ArgumentError(
                "DataLoader: dataset",
                expected="an object with __len__ and __getitem__",
                got=type(dataset).__name__,
            )
        if collate_fn is not None and transform is not None:
            raise ArgumentError(
                "DataLoader: collate_fn and transform",
                rule="collate_fn makes the whole batch; call the transform in it",
            )
        if prefetch is not None and (not isinstance(prefetch, int) or prefetch < 0):
            raise ArgumentError(
                "DataLoader: prefetch", expected="0 or more, or None", got=repr(prefetch)
            )
        self.dataset = dataset
        self.batch_size = int(batch_size)
        self.shuffle = shuffle
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.transform = transform
        self.generator = _generator(generator)
        self.prefetch = _depth(dataset, transform) if prefetch is None else prefetch
        self._begun = 0
        self._live: list[_Epoch] = []
        self._resumed: _Epoch | None = None

    def __len__(self) -> int:
        """The number of batches of one pass."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Batch]:
        """One pass over the data set."""
        epoch = self._begin()
        self._live.append(epoch)
        try:
            made = self._made(epoch)
            with contextlib.closing(ahead(made, self.prefetch) if self.prefetch else made) as found:
                for batch, epoch.now in found:
                    epoch.position += 1
                    yield batch
        finally:
            if epoch in self._live:
                self._live.remove(epoch)

    def _made(self, epoch: _Epoch) -> Generator[tuple[Batch, dict[str, Any] | None], None, None]:
        """The batches left of a pass, with the generator's state where that may run ahead."""
        order = self._order(epoch)
        for number in range(epoch.position, len(self)):
            first = number * self.batch_size
            batch = self._batch(order[first : first + self.batch_size], epoch.generator)
            yield batch, _state(epoch.generator) if self.prefetch else None

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands, for JSON.

        Inside a loop: after the batch just yielded, so that resuming gives the one that follows.
        After a loop, however it ended (`break` too): before the next pass. Within nested loops:
        the innermost.

        Returns:
            "epoch" (passes behind), "position" (batches behind in this pass), "generator" (the
            loader's), "epoch_start" and "epoch_now" (the pass's generator at its beginning and
            now, None between passes), and what the state belongs to: "length", "batch_size",
            "shuffle", "drop_last".
        """
        epoch = self._live[-1] if self._live else self._resumed
        return {
            "epoch": self._begun if epoch is None else epoch.number,
            "position": 0 if epoch is None else epoch.position,
            "generator": _state(self.generator),
            "epoch_start": None if epoch is None else epoch.start,
            "epoch_now": None if epoch is None else epoch.now or _state(epoch.generator),
            **self._identity(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken: the next pass yields exactly the batches left.

        Raises:
            DataError: not a state of a DataLoader.
            ArgumentError: it belongs to another data set size, batch size, order or drop_last.
        """
        for key, mine in self._identity().items():
            if key in state and state[key] != mine:
                raise ArgumentError(
                    f"DataLoader.load_state_dict: {key}", expected=f"{mine}", got=f"{state[key]}"
                )
        try:
            begun, position = int(state["epoch"]), int(state["position"])
            generator = _restored(state["generator"])
            resumed = None
            if state["epoch_start"] is not None:
                now = _restored(state["epoch_now"])
                resumed = _Epoch(begun, now, dict(state["epoch_start"]), position)
                _restored(resumed.start)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"DataLoader.load_state_dict: damaged state: {error!r}") from error
        self.generator.bit_generator.state = generator.bit_generator.state
        self._begun, self._resumed, self._live = begun, resumed, []

    def _identity(self) -> dict[str, Any]:
        return {
            "length": len(self.dataset),
            "batch_size": self.batch_size,
            "shuffle": bool(self.shuffle),
            "drop_last": bool(self.drop_last),
        }

    def _begin(self) -> _Epoch:
        epoch, self._resumed = self._resumed, None
        if epoch is None:
            words = self.generator.integers(0, 1 << 32, size=4, dtype=np.uint32)
            generator = np.random.Generator(np.random.PCG64([int(word) for word in words]))
            epoch = _Epoch(self._begun, generator, _state(generator))
        self._begun = epoch.number + 1
        return epoch

    def _order(self, epoch: _Epoch) -> NDArray[np.int64]:
        if not self.shuffle:
            return np.arange(len(self.dataset))
        # A resumed pass draws its permutation again from where it began, then goes on drawing
        # from where it stopped.
        drawing = _restored(epoch.start) if epoch.position else epoch.generator
        return drawing.permutation(len(self.dataset))

    def _batch(self, indices: NDArray[np.int64], generator: np.random.Generator) -> Batch:
        if self.collate_fn is not None:
            return self.collate_fn([self.dataset[int(index)] for index in indices])
        if isinstance(self.dataset, ImageSet):
            images = self.dataset.images.take(indices, axis=0)
            labels = self.dataset.labels.take(indices)
        else:
            images, labels = self._stack(indices)
        if self.transform is not None:
            images = self.transform(images, generator)
        if images.dtype == np.uint8:
            images = np.divide(images, np.float32(255), dtype=np.float32)
        elif not np.issubdtype(images.dtype, np.floating):
            raise DTypeError(
                "DataLoader: images", expected="uint8 (0 to 255) or float", got=str(images.dtype)
            )
        return np.ascontiguousarray(images, np.float32), labels

    def _stack(self, indices: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        samples = [self.dataset[int(index)] for index in indices]
        images = [np.asarray(image) for image, _ in samples]
        for index, image in zip(indices, images, strict=True):
            if image.shape != images[0].shape:
                raise ShapeError(
                    f"DataLoader: image {index} does not fit into the batch",
                    expected=f"{images[0].shape} like image {indices[0]}",
                    got=f"{image.shape}",
                )
        labels = np.asarray([label for _, label in samples])
        if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
            raise DTypeError(
                "DataLoader: labels",
                expected="one integer per image",
                got=f"{labels.dtype} of shape {labels.shape}",
            )
        return np.stack(images), labels.astype(np.int64)


def _depth(dataset: Dataset, transform: Transform | None) -> int:
    """How many batches are made ahead when nobody says it: what is quickly made is made at once."""
    steps = transform.transforms if isinstance(transform, Compose) else (transform,)
    costly = any(step is not None and not isinstance(step, Normalize) for step in steps)
    ours = all(step is None or type(step).__module__.startswith("rot180.data") for step in steps)
    return 2 if isinstance(dataset, ImageSet) and costly and ours else 0


def _generator(given: np.random.Generator | int | None) -> np.random.Generator:
    if isinstance(given, np.random.Generator):
        if not isinstance(given.bit_generator, np.random.PCG64):
            raise ArgumentError(
                "DataLoader: generator",
                expected="a Generator of PCG64",
                got=type(given.bit_generator).__name__,
            )
        return given
    if given is not None and (not isinstance(given, int | np.integer) or given < 0):
        raise ArgumentError(
            "DataLoader: generator",
            expected="a Generator, a seed of 0 or more, or None",
            got=repr(given),
        )
    return np.random.Generator(np.random.PCG64(given))


def _state(generator: np.random.Generator) -> dict[str, Any]:
    """PCG64's state with its 128-bit words as text: most JSON readers would round them."""
    state = generator.bit_generator.state
    return {
        "state": hex(state["state"]["state"]),
        "inc": hex(state["state"]["inc"]),
        "has_uint32": int(state["has_uint32"]),
        "uinteger": int(state["uinteger"]),
    }


def _restored(state: dict[str, Any]) -> np.random.Generator:
    generator = np.random.Generator(np.random.PCG64(0))
    generator.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": int(state["state"], 16), "inc": int(state["inc"], 16)},
        "has_uint32": int(state["has_uint32"]),
        "uinteger": int(state["uinteger"]),
    }
    return generator
