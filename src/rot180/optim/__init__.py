"""Optimisers, schedules and gradient clipping, in PyTorch's arithmetic order.

Promises: a step changes parameters in place and allocates nothing, float32 stays float32, and a
restored state continues with the same bits. What a parameter belongs to, and when to step, is not
known here.
"""

from rot180.optim.adam import Adam, AdamW
from rot180.optim.adaptive import Adagrad, RMSprop
from rot180.optim.clip import clip_grad_norm_, clip_grad_value_
from rot180.optim.lr_scheduler import (
    CosineAnnealingLR,
    LinearWarmup,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    SequentialLR,
    StepLR,
)
from rot180.optim.optimizer import Optimizer
from rot180.optim.plateau import ReduceLROnPlateau
from rot180.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "LRScheduler",
    "LinearWarmup",
    "MultiStepLR",
    "OneCycleLR",
    "Optimizer",
    "RMSprop",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
    "clip_grad_norm_",
    "clip_grad_value_",
]
