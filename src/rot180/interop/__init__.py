"""Files that other programs read too.

Promises: a file is written whole or not at all, reading runs no code, and any damage is a
`DataError` that names the file. What is in the files (models, run folders) belongs to `nn` and
`train`; formats of data sets belong to `data`.
"""

from rot180.interop.files import read_bytes, write_atomically
from rot180.interop.models import load_model, save_model
from rot180.interop.tensors import load_safetensors, save_safetensors

__all__ = [
    "load_model",
    "load_safetensors",
    "read_bytes",
    "save_model",
    "save_safetensors",
    "write_atomically",
]
