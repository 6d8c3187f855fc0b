"""Data: labelled images in memory, read strictly, changed in whole batches, served resumably.

Promises: every reader returns an `ImageSet` (uint8, NCHW) or raises `DataError` with the
arithmetic; memory follows the bytes that are really there; all randomness is an explicit
generator; nothing is downloaded unless `fetch` is called. Only NumPy is needed; pictures need
Pillow and downloads pooch, imported when used. Tensors, models and training do not belong here.
"""

from rot180.data.cifar import cifar10
from rot180.data.digits import digits
from rot180.data.fetch import fetch
from rot180.data.folder import image_folder, read_image
from rot180.data.idx import read_idx
from rot180.data.imageset import ImageSet
from rot180.data.loader import DataLoader, Dataset
from rot180.data.mnist import fashion_mnist, mnist
from rot180.data.registry import DATASETS, DatasetInfo, default_root, load
from rot180.data.split import stratified_split
from rot180.data.transforms import (
    Compose,
    HorizontalFlip,
    Normalize,
    PadCrop,
    Resize,
    Rotate,
    Transform,
)

__all__ = [
    "DATASETS",
    "Compose",
    "DataLoader",
    "Dataset",
    "DatasetInfo",
    "HorizontalFlip",
    "ImageSet",
    "Normalize",
    "PadCrop",
    "Resize",
    "Rotate",
    "Transform",
    "cifar10",
    "default_root",
    "digits",
    "fashion_mnist",
    "fetch",
    "image_folder",
    "load",
    "mnist",
    "read_idx",
    "read_image",
    "stratified_split",
]
