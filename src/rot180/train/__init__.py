"""Training: the loop around model, data and optimiser, and the folder it leaves behind.

Promises: a training that is resumed gives the same bits as one that was never interrupted, and no
kill, full disk or Ctrl-C leaves an unreadable checkpoint. Layers, losses, optimisers and readers of
data do not belong here; neither does the parsing of command lines.
"""

from rot180.train.callbacks import Callback, EarlyStop
from rot180.train.checkpoint import Checkpoint, CheckpointStore
from rot180.train.evaluation import evaluate, predict, probabilities
from rot180.train.experiment import (
    Outcome,
    evaluate_run,
    predict_images,
    run_example,
    settled_config,
    train_run,
)
from rot180.train.fit import Trainer, fit
from rot180.train.interrupt import TrainingInterrupted
from rot180.train.lr_find import LRCurve, lr_find
from rot180.train.metrics import ConfusionMatrix, TopK, accuracy, top_k_accuracy
from rot180.train.models import MODELS, build_model
from rot180.train.progress import Reporter
from rot180.train.recipes import RECIPES, merge, parse_setting, recipe
from rot180.train.report import write_report
from rot180.train.run import RunFolder, next_run_path, read_toml, strict_json
from rot180.train.settings import History, Settings
from rot180.train.step import compile

__all__ = [
    "MODELS",
    "RECIPES",
    "Callback",
    "Checkpoint",
    "CheckpointStore",
    "ConfusionMatrix",
    "EarlyStop",
    "History",
    "LRCurve",
    "Outcome",
    "Reporter",
    "RunFolder",
    "Settings",
    "TopK",
    "Trainer",
    "TrainingInterrupted",
    "accuracy",
    "build_model",
    "compile",
    "evaluate",
    "evaluate_run",
    "fit",
    "lr_find",
    "merge",
    "next_run_path",
    "parse_setting",
    "predict",
    "predict_images",
    "probabilities",
    "read_toml",
    "recipe",
    "run_example",
    "settled_config",
    "strict_json",
    "top_k_accuracy",
    "train_run",
    "write_report",
]
