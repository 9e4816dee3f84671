# SPDX-License-Identifier: BSD-3-Clause
"""Search the kernels of somebody else's network: MONAI's SegResNet, finding smooth regions under strong noise.

    pip install monai
    python examples/search_monai_segresnet.py

`convert` puts a mixture of 9 kernels in the place of every convolution that allows it, `weight_parameters` and
`arch_parameters` go to two optimisers, `discretize` keeps the kernel that won in each layer and returns the
architecture, and `apply_architecture` builds it into a fresh network, which is trained beside the plain one.
"""

import argparse

import torch
from monai.networks.nets import SegResNet
from torch import Tensor, nn

import dash_kernels as dk

SIZE = 40


def network() -> nn.Module:
    """One resolution and few layers: with 3×3 kernels a pixel sees 11×11 others, too few to average the noise away."""
    options = {"init_filters": 8, "in_channels": 1, "out_channels": 1, "norm": "batch"}
    return SegResNet(spatial_dims=2, blocks_down=(2,), blocks_up=(), **options)


def images(count: int) -> tuple[Tensor, Tensor]:
    """Images (count, 1, SIZE, SIZE) of smooth regions, 1 inside and -1 outside, under noise; masks of the inside."""
    mask = nn.functional.interpolate(torch.randn(count, 1, 4, 4), size=SIZE, mode="bicubic") > 0
    return mask * 2 - 1 + 4 * torch.randn(mask.shape), mask.float()


def train(model: nn.Module, steps: int, *optimisers: torch.optim.Optimizer) -> None:
    model.train()
    for _ in range(steps):
        image, mask = images(8)
        loss = nn.functional.binary_cross_entropy_with_logits(model(image), mask)
        for optimiser in optimisers:
            optimiser.zero_grad()
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()


@torch.no_grad()
def accuracy(model: nn.Module) -> str:
    """Share of the pixels of fresh images that are told right."""
    image, mask = images(64)
    return f"{((model.eval()(image) > 0) == (mask > 0)).float().mean():.1%} of pixels right"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100, help="training steps of each stage (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, images and mixtures (default: %(default)s)")
    options = parser.parse_args()
    torch.manual_seed(options.seed)

    model = network()
    print(dk.convert(model, dk.SearchSpace(kernel_sizes=(3, 5, 7), dilations=(1, 2, 3))))

    weights = torch.optim.Adam(dk.weight_parameters(model), lr=3e-3)
    logits = torch.optim.Adam(dk.arch_parameters(model), lr=3e-2)
    train(model, options.steps, weights, logits)
    print(f"\nsupernet: {accuracy(model)}")

    architecture = dk.discretize(model)
    for name, choice in architecture.items():
        print(f"  {name}: kernel size {choice['kernel_size']}, dilation {choice['dilation']}")

    for name, fresh in (("plain", network()), ("searched", dk.apply_architecture(network(), architecture))):
        train(fresh, options.steps, torch.optim.Adam(fresh.parameters(), lr=3e-3))
        print(f"{name} network, trained from scratch: {accuracy(fresh)}")


if __name__ == "__main__":
    main()
