# SPDX-License-Identifier: BSD-3-Clause
"""First stage: train weights and mixture logits of the supernet on the same batches, and read the winners off."""

import copy
import itertools
import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

import dash_kernels as dk

from ..alpha import AlphaRule, mixed_layers
from ..config import Config
from ..errors import SettingsError, TrainingError
from ..run_folder import Stage, Stateful
from ..training import Job, Tick, evaluate, run_epochs, sgd, train_batches

Architecture = dict[str, dict[str, list[int]]]


def build_supernet(model: nn.Module, config: Config) -> nn.Module:
    """Returns a copy of the model whose convolutions are mixtures of all candidates, on the device of the settings.

    Raises:
        SettingsError: No convolution of the model can be searched, or one cannot have a candidate.
    """
    supernet = copy.deepcopy(model)
    space = dk.SearchSpace(kernel_sizes=config.kernel_sizes, dilations=config.dilations)
    try:
        report = dk.convert(supernet, space, skip=config.skip, depthwise=config.depthwise, mixture=config.mixture)
    except ValueError as error:
        raise SettingsError(f"the model cannot be searched: {error}") from error
    if not mixed_layers(supernet):
        raise SettingsError(f"no convolution of the model can be searched:\n{report}")
    return supernet.to(config.device)


class SearchSteps:
    """What follows every backward pass of the search: one step of the weights and the logits.

    The gradient of all weights together is clipped. That of the logits is not: the rule sets its size.

    Attributes:
        optimizer: Of both, in two groups; logits do not decay.
        schedule: The learning rates of both.
    """

    def __init__(self, supernet: nn.Module, config: Config) -> None:
        self._clip = config.search_clip
        self._weights = dk.weight_parameters(supernet)
        self._rule = AlphaRule(mixed_layers(supernet).values(), config.grad_scale, config.size_penalty)
        groups = [
            {"params": self._weights, "lr": config.search_lr, "weight_decay": config.weight_decay},
            {"params": dk.arch_parameters(supernet), "lr": config.alpha_lr, "weight_decay": 0.0},
        ]
        self.optimizer, self.schedule = sgd(groups, config, config.search_milestones, config.search_epochs)

    def __call__(self) -> None:
        """Takes the step, and clears the gradients."""
        self._rule()
        clip_grad_norm_(self._weights, self._clip)
        self.optimizer.step()
        self.optimizer.zero_grad()


def search_supernet(job: Job, supernet: nn.Module) -> Architecture:
    """Trains a supernet in place, and takes each layer's candidate with the largest logit.

    Each epoch takes the first ``search_fraction`` of the shuffled training batches, and every batch gives one step to
    weights and logits. The validation score of each epoch is logged and chooses nothing. A layer whose logits never
    moved took no part in the training: it is named on the console and left out of the architecture.

    Args:
        job: Data, loss, metric, settings and run folder, where ``architecture.json`` is written.
        supernet: What :func:`build_supernet` returned.

    Returns:
        ``{module name: {"kernel_size": [...], "dilation": [...]}}``.

    Raises:
        TrainingError: Loss, outputs, score or logits became infinite or not a number.
    """
    config, layers = job.config, mixed_layers(supernet)
    untrained = {name: layer.alpha.detach().clone() for name, layer in layers.items()}
    step = SearchSteps(supernet, config)
    steps = min(len(job.train), math.floor(config.search_fraction * len(job.train)) + 1)

    def epoch_of_search(tick: Tick) -> Mapping[str, Any]:
        loss = train_batches(supernet, itertools.islice(job.train, steps), job, step, tick)
        step.schedule.step()
        score = evaluate(supernet, job.valid, job)
        for name, layer in layers.items():
            if not layer.alpha.isfinite().all():
                raise TrainingError(f"the logits of {name} are not finite: lower alpha_lr, or look at the data.")
        logits = {name: layer.alpha.tolist() for name, layer in layers.items()}
        return {"loss": loss, "valid_score": score, "alphas": logits}

    parts: dict[str, Stateful] = {"supernet": supernet, "optimizer": step.optimizer, "schedule": step.schedule}
    run_epochs(job, Stage("search", "supernet"), config.search_epochs, steps, parts, epoch_of_search)
    architecture = _winners(job, layers, untrained)
    job.folder.write_json("architecture.json", architecture)
    return architecture


def choice(candidate: dk.Candidate) -> dict[str, list[int]]:
    """The entry of a candidate in an architecture."""
    return {"kernel_size": list(candidate.kernel_size), "dilation": list(candidate.dilation)}


def _winners(job: Job, layers: Mapping[str, Any], untrained: Mapping[str, Tensor]) -> Architecture:
    architecture: Architecture = {}
    for name, layer in layers.items():
        if layer.alpha.equal(untrained[name]):
            job.console.print(f"{name} took no part in the training: its kernel stays as it is in the model.")
            continue
        architecture[name] = choice(layer.candidates[layer.winner()])
    return architecture
