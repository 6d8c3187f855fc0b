"""Downloads, only when asked: each file checked against a published hash, from several mirrors."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rot180.data.cifar import ARCHIVE
from rot180.errors import ArgumentError, DataError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike


@dataclass(frozen=True)
class Source:
    """Where a data set comes from.

    Args:
        files: file name → "sha256:..." of its content.
        mirrors: addresses that end in a slash, in the order they are tried.
    """

    files: dict[str, str]
    mirrors: tuple[str, ...]


# Of the files as their publishers pack them; the same arrays packed anew have other hashes.
SOURCES = {
    "mnist": Source(
        {
            "train-images-idx3-ubyte.gz": "sha256:"
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "sha256:"
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "sha256:"
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "sha256:"
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
    ),
    "fashion_mnist": Source(
        {
            "train-images-idx3-ubyte.gz": "sha256:"
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "sha256:"
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "sha256:"
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "sha256:"
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
        (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
    ),
    "cifar10": Source(
        {
            ARCHIVE: "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        },
        ("https://www.cs.toronto.edu/~kriz/",),
    ),
}


def fetch(
    name: str,
    root: str | PathLike[str],
    *,
    mirrors: Sequence[str] | None = None,
    report: Callable[[str], None] | None = None,
) -> Path:
    """Download a data set into `root/name/` unless it is there already, and check every file.

    A file appears under its name only when it is complete and its hash is right; a mirror that is
    down or delivers something else is passed over for the next.

    Args:
        name: "mnist", "fashion_mnist" or "cifar10".
        root: the folder that `load(name, root=root)` will look in.
        mirrors: addresses to try instead of the built-in ones.
        report: called with one line for each file and each mirror that failed.

    Returns:
        The folder with the files.

    Raises:
        MissingExtraError: pooch is not installed.
        ArgumentError: no such data set, or it is embedded and needs no download.
        DataError: a file could not be had from any mirror; each mirror's reason is told.
    """
    if name not in SOURCES:
        raise ArgumentError(
            f"fetch: nothing to download for {name!r}", expected=f"one of {', '.join(SOURCES)}"
        )
    try:
        import pooch  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtraError("downloads", "pooch", "data") from error
    source, folder = SOURCES[name], Path(root) / name
    say = report or (lambda line: None)
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)  # `report` says what happens, once
    try:
        for file_name, known_hash in source.files.items():
            _fetch_file(file_name, known_hash, mirrors or source.mirrors, folder, say)
    finally:
        logger.setLevel(level)
    return folder


def _fetch_file(
    file_name: str,
    known_hash: str,
    mirrors: Sequence[str],
    folder: Path,
    say: Callable[[str], None],
) -> None:
    import pooch

    reasons = []
    for mirror in mirrors:
        url = mirror.rstrip("/") + "/" + file_name
        try:
            pooch.retrieve(
                url,
                known_hash,
                fname=file_name,
                path=folder,
                downloader=pooch.HTTPDownloader(timeout=30),
            )
        except (OSError, ValueError) as error:  # no answer or a refusal; another content
            reasons.append(f"{url}: {' '.join(str(error).split())}")
            say(f"failed: {reasons[-1]}")
        else:
            say(f"{folder / file_name}: complete, hash right")
            return
    raise DataError(f"{file_name}: no mirror delivered it", arithmetic="; ".join(reasons))
