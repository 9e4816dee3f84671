# SPDX-License-Identifier: BSD-3-Clause
"""Search, retrain and test somebody else's network in one call: MONAI's DenseNet, telling how far two pulses are apart.

    pip install 'dash_kernels[search]' monai
    python examples/search_monai_densenet.py

`dash_search.search` takes the network and three loaders. It searches kernel sizes and dilations, trains the network
that was found and the plain one beside it, and scores both on the test data. Log, weights and scores are in the run
folder.
"""

import argparse
from pathlib import Path

import torch
from monai.networks.nets import DenseNet
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import dash_search

LENGTH, DISTANCES = 160, (40, 56)


def network() -> nn.Module:
    """With its own kernels of 3 it hardly sees two pulses at once."""
    options = {"init_features": 8, "growth_rate": 8, "block_config": (2, 2), "bn_size": 2}
    return DenseNet(spatial_dims=1, in_channels=1, out_channels=len(DISTANCES), **options)


def signals(count: int) -> TensorDataset:
    """Noise (count, 1, LENGTH) with two pulses, and which of DISTANCES lies between them."""
    classes = torch.randint(len(DISTANCES), (count,))
    first = torch.randint(LENGTH - max(DISTANCES), (count,))
    x = 0.3 * torch.randn(count, 1, LENGTH)
    for place in (first, first + torch.tensor(DISTANCES)[classes]):
        x[torch.arange(count), 0, place] += 3
    return TensorDataset(x, classes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=12, help="of the search, and of training (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, signals and mixtures (default: %(default)s)")
    parser.add_argument("--run-dir", type=Path, help="new folder for the results (default: runs/run-TIME)")
    options = parser.parse_args()
    torch.manual_seed(options.seed)

    train, valid, test = signals(640), signals(160), signals(320)
    config = dash_search.Config(
        seed=options.seed,
        kernel_sizes=(3, 5, 7),
        dilations=(1, 2, 4, 8),
        search_epochs=options.epochs,
        search_fraction=1.0,
        alpha_lr=0.5,
        epochs=options.epochs,
        search_lr=0.05,
        lr=0.05,
    )
    result = dash_search.search(
        network(),
        DataLoader(train, 32, shuffle=True),
        DataLoader(valid, 160),
        config,
        loss=nn.functional.cross_entropy,
        metric=dash_search.ACCURACY,
        test=DataLoader(test, 160),
        run_dir=options.run_dir,
    )
    for name, choice in result.architecture.items():
        print(f"{name}: kernel size {choice['kernel_size']}, dilation {choice['dilation']}")
    for name, scores in result.scores.items():
        print(f"{name} network: {scores['test']:.1f}% of the test signals right")


if __name__ == "__main__":
    main()
