"""Checks: is this gradient right, and if not, which mistake is it?

It promises: answers that are true or false and say where, why and what to do; comparisons whose
tolerance comes from the data type and not from taste; a catalogue of mistakes as data, each made of
the engine's own declarations. Layers, training and pictures of derivations do not belong here.
"""

from rot180.check.adjoint import AdjointCheck, adjoint
from rot180.check.diagnose import diagnose
from rot180.check.diagnosis import Diagnosis, Finding, Question
from rot180.check.discriminate import DiscriminatingShape, discriminating_shape
from rot180.check.gradient_check import GradientCheck, InputCheck
from rot180.check.gradients import gradients

__all__ = [
    "AdjointCheck",
    "Diagnosis",
    "DiscriminatingShape",
    "Finding",
    "GradientCheck",
    "InputCheck",
    "Question",
    "adjoint",
    "diagnose",
    "discriminating_shape",
    "gradients",
]
