# SPDX-License-Identifier: BSD-3-Clause
"""First stage: train weights and mixture logits of the supernet together, on the same batches (single level)."""

import copy
import itertools
import math

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

import dash_kernels as dk

from ..alpha import apply_alpha_rule, mixed_layers
from ..config import Config
from ..environment import engines_in_use
from ..errors import SettingsError
from ..run_folder import Record, Stateful
from ..training import Job, Tick, evaluate, learning_rate, pairs, run_epochs, set_learning_rate, train_batches

STAGE = "search"


def build_supernet(model: nn.Module, config: Config) -> nn.Module:
    """Returns a copy of the model whose convolutions are mixtures of all candidates, on the device of the settings.

    Raises:
        SettingsError: No convolution of the model can be searched, or one cannot have a candidate.
    """
    torch.manual_seed(config.seed)
    supernet = copy.deepcopy(model)
    space = dk.SearchSpace(kernel_sizes=config.kernel_sizes, dilations=config.dilations)
    try:
        report = dk.convert(supernet, space, skip=config.skip, depthwise=config.depthwise)
    except ValueError as error:
        raise SettingsError(f"the model cannot be searched: {error}") from error
    if not mixed_layers(supernet):
        raise SettingsError(f"no convolution of the model can be searched:\n{report}")
    return supernet.to(config.device)


class SearchSteps:
    """What follows every backward pass of the search: one step of the weights and one of the logits.

    Attributes:
        weight_steps, alpha_steps: The two optimisers.
    """

    def __init__(self, supernet: nn.Module, config: Config) -> None:
        self._supernet, self._config, self._layers = supernet, config, mixed_layers(supernet)
        self._weights, self._alphas = list(dk.weight_parameters(supernet)), list(dk.arch_parameters(supernet))
        nesterov = config.momentum > 0
        self.weight_steps = torch.optim.SGD(
            self._weights, config.search_lr, config.momentum, weight_decay=config.weight_decay, nesterov=nesterov
        )
        self.alpha_steps = torch.optim.SGD(self._alphas, config.alpha_lr, config.momentum, nesterov=nesterov)

    def __call__(self) -> None:
        """Takes both steps, and clears the gradients."""
        apply_alpha_rule(self._layers.values(), self._config.grad_scale, self._config.size_penalty)
        clip_grad_norm_(self._weights, self._config.search_clip)
        clip_grad_norm_(self._alphas, self._config.search_clip)
        self.weight_steps.step()
        self.alpha_steps.step()
        self._supernet.zero_grad()


def search_supernet(job: Job, supernet: nn.Module) -> None:
    """Trains a supernet in place.

    Each epoch takes the first ``search_fraction`` of the shuffled training batches. Every batch gives one step to the
    weights and one to the logits; their gradients are clipped apart from each other, so that large gradients of the
    weights do not slow the logits. The validation score of each epoch is logged and chooses nothing.

    Args:
        job: Data, loss, metric, settings and run folder.
        supernet: What :func:`build_supernet` returned.
    """
    config = job.config
    layers = mixed_layers(supernet)
    inputs, _ = next(pairs(job.train, torch.device(config.device)))
    job.folder.write_json("engines.json", engines_in_use(supernet, layers, inputs))
    torch.manual_seed(config.seed)
    step = SearchSteps(supernet, config)
    steps = min(len(job.train), math.floor(config.search_fraction * len(job.train)) + 1)

    def epoch_of_search(epoch: int, tick: Tick) -> Record:
        for optimizer, start in ((step.weight_steps, config.search_lr), (step.alpha_steps, config.alpha_lr)):
            rate = learning_rate(start, epoch, config.search_epochs, config.search_milestones, config.lr_drop)
            set_learning_rate(optimizer, rate)
        loss = train_batches(supernet, itertools.islice(job.train, steps), job, step, tick)
        valid_loss, score = evaluate(supernet, job.valid, job)
        logits = {name: layer.alpha.tolist() for name, layer in layers.items()}
        return {"loss": loss, "valid_loss": valid_loss, "valid_score": score, "alphas": logits}

    parts: dict[str, Stateful] = {
        "supernet": supernet,
        "weight_steps": step.weight_steps,
        "alpha_steps": step.alpha_steps,
    }
    run_epochs(job, STAGE, config.search_epochs, steps, parts, epoch_of_search)
