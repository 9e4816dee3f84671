# SPDX-License-Identifier: BSD-3-Clause
"""The convolutional network of DeepSEA, for DNA."""

from torch import Tensor, nn

import dash_kernels as dk

from ._check import at_least_one

_KERNEL_SIZE, _POOL, _HIDDEN = 8, 4, 925


class DeepSEA(nn.Module):
    """Three convolutions, the first two with pooling, and two linear layers over all steps; the 3 are searched.

    With 4 channels of 1,000 steps, 36 outputs and 320 channels it has 60,017,461 parameters, 55 million of them in the
    first linear layer. Training drops 0.2 of the values after each pooling and 0.5 after the last convolution.

    Args:
        in_channels: Channels of the input, 4 for the bases of DNA.
        outputs: Labels.
        length: Steps of the input; the linear layers fit no other.
        channels: Channels of the first convolution; the other two have one and a half times and three times as many.

    Shape:
        - Input: ``(batch, in_channels, length)``.
        - Output: ``(batch, outputs)``, logits.

    Raises:
        ValueError: A count is below 1, or nothing is left of ``length`` after the pooling.

    Source: Zhou and Troyanskaya, "Predicting effects of noncoding variants with deep learning-based sequence model",
    Nature Methods 12, 2015, as DASH (arXiv:2204.07554) has it: the convolutions keep the length. Kernels of 8 steps
    see 3 back and 4 ahead, as torch pads; DASH's see one more back and one less ahead until others are chosen. The
    driver trains with SGD.
    """

    def __init__(self, in_channels: int, outputs: int, length: int, *, channels: int = 320) -> None:
        super().__init__()
        at_least_one(in_channels=in_channels, outputs=outputs, channels=channels)
        steps = length // _POOL // _POOL
        if steps < 1:
            raise ValueError(f"length is {length}: it must be at least {_POOL**2}, which the pooling makes one step.")
        first, second, third = channels, 3 * channels // 2, 3 * channels
        self.conv1 = dk.Conv1d(in_channels, first, _KERNEL_SIZE, padding="same")
        self.conv2 = dk.Conv1d(first, second, _KERNEL_SIZE, padding="same")
        self.conv3 = dk.Conv1d(second, third, _KERNEL_SIZE, padding="same")
        self.pool = nn.Sequential(nn.MaxPool1d(_POOL), nn.Dropout(0.2))
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Sequential(nn.Linear(third * steps, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, outputs))

    def forward(self, x: Tensor) -> Tensor:
        h = self.pool(self.conv1(x).relu())
        h = self.pool(self.conv2(h).relu())
        h = self.dropout(self.conv3(h).relu())
        out: Tensor = self.head(h.flatten(1))
        return out
