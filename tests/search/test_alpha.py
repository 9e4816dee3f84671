# SPDX-License-Identifier: BSD-3-Clause
"""The rule for the logits' gradients, against plain sums."""

import math

import pytest
import torch
from torch import nn

import dash_kernels as dk
from dash_search import Config
from dash_search.alpha import AlphaRule, kernel_extents, mixed_layers
from dash_search.stages import build_supernet
from dash_search.training import sgd


def layer() -> dk.MixedConv2d:
    return dk.MixedConv2d(1, 1, kernel_sizes=(3, (3, 9), 5), dilations=(1, 7))


def test_extents_are_in_pixels_per_axis() -> None:
    assert kernel_extents(layer().candidates) == [3, 15, (3 + 9) / 2, (15 + 57) / 2, 5, 29]


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_rule_against_brute_force(size: float) -> None:
    layers = [layer(), layer()]
    grads = [(size * torch.randn(6)).tolist() for _ in layers]
    for one, grad in zip(layers, grads, strict=True):
        one.alpha.grad = torch.tensor(grad)
    AlphaRule(layers, grad_scale=500, size_penalty=1e-5)()
    sizes = [3, 15, 6, 36, 5, 29]
    for one, grad in zip(layers, grads, strict=True):
        norm = math.sqrt(sum(g * g for g in grad))
        expected = [g / (500 * (norm + 1e-8)) + 1e-5 * f for g, f in zip(grad, sizes, strict=True)]
        assert one.alpha.grad is not None
        assert one.alpha.grad.tolist() == pytest.approx(expected, rel=1e-4)


def test_zero_gradient_leaves_the_penalty_and_frozen_logits_nothing() -> None:
    trained, frozen = layer(), layer()
    trained.alpha.grad = torch.zeros(6)
    AlphaRule([trained, frozen], grad_scale=100, size_penalty=1e-5)()
    assert trained.alpha.grad.tolist() == pytest.approx([1e-5 * f for f in (3, 15, 6, 36, 5, 29)])
    assert frozen.alpha.grad is None


def test_mixed_layers_are_found_once_and_in_order() -> None:
    shared = layer()
    model = nn.Sequential(shared, nn.ReLU(), nn.Sequential(layer(), shared))
    assert list(mixed_layers(model)) == ["0", "2.0"]


def test_supernet_mixes_as_the_settings_say() -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 2, 3, padding=1))
    dash = mixed_layers(build_supernet(model, Config())).values()
    assert [(layer.mixture, layer.groups) for layer in dash] == [("gumbel", 4), ("gumbel", 1)]
    mended = mixed_layers(build_supernet(model, Config(mixture="softmax", depthwise="never"))).values()
    assert [(layer.mixture, layer.groups) for layer in mended] == [("softmax", 1), ("softmax", 1)]


def test_learning_rate_drops_behind_the_milestones_as_in_dash() -> None:
    optimizer, schedule = sgd([{"params": [torch.zeros(1)], "lr": 0.1}], Config(), (0.3, 0.6, 0.8), 200)
    rates = []
    for _ in range(200):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    changes = [epoch for epoch in range(1, 200) if rates[epoch] != rates[epoch - 1]]
    assert changes == [61, 121, 161]
    assert rates[-1] == pytest.approx(0.1 * 0.2**3)
