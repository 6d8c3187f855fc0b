"""Checks: is this gradient right, and if not, which mistake is it?

It promises: answers that are true or false and say where, why and what to do; comparisons whose
tolerance comes from the data type and not from taste; a catalogue of mistakes as data, each made of
the engine's own declarations. Layers, training and pictures of derivations do not belong here.
"""

from rot180.check.adjoint import AdjointCheck, adjoint
from rot180.check.catalogue import mistakes
from rot180.check.convention import Convention, Identification
from rot180.check.diagnose import diagnose
from rot180.check.diagnosis import Diagnosis, Finding, Question
from rot180.check.discriminate import DiscriminatingShape, discriminating_shape
from rot180.check.gradient_check import GradientCheck, InputCheck
from rot180.check.gradients import gradients
from rot180.check.identify import identify
from rot180.check.maps import DivisorMap, OverlapMap, divisors, overlap
from rot180.check.mistake import Mistake
from rot180.check.paddings import OutputPadding, PaddingRule, output_paddings, padding_rules
from rot180.check.strength import Strength, strength

__all__ = [
    "AdjointCheck",
    "Convention",
    "Diagnosis",
    "DiscriminatingShape",
    "DivisorMap",
    "Finding",
    "GradientCheck",
    "Identification",
    "InputCheck",
    "Mistake",
    "OutputPadding",
    "OverlapMap",
    "PaddingRule",
    "Question",
    "Strength",
    "adjoint",
    "diagnose",
    "discriminating_shape",
    "divisors",
    "gradients",
    "identify",
    "mistakes",
    "output_paddings",
    "overlap",
    "padding_rules",
    "strength",
]
