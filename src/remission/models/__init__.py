"""Models by name, with normalisation inside; checkpoints are read by key and never unpickled."""

from __future__ import annotations

from remission.models.build import (
    MODELS,
    Architecture,
    build_like,
    build_model,
    build_model_for,
    canonical_arch,
    describe_models,
    parse_arch,
)
from remission.models.checkpoint import load_weights, save_weights
from remission.models.classifier import Classifier, Precision, autocast, in_channels_last
from remission.models.device import compute_exactly, resolve_device, resolve_precision
from remission.models.resnet import ResNet
from remission.models.states import evaluating, frozen, watching_final_inputs
from remission.models.tracing.adapter import Adapted
from remission.models.tracing.channels import ChannelGroup
from remission.models.tracing.permutation import channel_groups, permute
from remission.models.tracing.structure import TRAITS, check_needs, traits

__all__ = [
    "MODELS",
    "TRAITS",
    "Adapted",
    "Architecture",
    "ChannelGroup",
    "Classifier",
    "Precision",
    "ResNet",
    "autocast",
    "build_like",
    "build_model",
    "build_model_for",
    "canonical_arch",
    "channel_groups",
    "check_needs",
    "compute_exactly",
    "describe_models",
    "evaluating",
    "frozen",
    "in_channels_last",
    "load_weights",
    "parse_arch",
    "permute",
    "resolve_device",
    "resolve_precision",
    "save_weights",
    "traits",
    "watching_final_inputs",
]
