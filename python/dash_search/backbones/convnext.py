# SPDX-License-Identifier: BSD-3-Clause
"""ConvNeXt-xtiny: the small ConvNeXt of DASH, which keeps the resolution."""

import torch
from torch import Tensor, nn

from ._check import at_least_one

_DEPTHS = (3, 3, 9, 3)
_LAYER_SCALE = 1e-6


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel of ``(batch, channels, height, width)``."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


class Block(nn.Module):
    """Depthwise 7x7 convolution, then a linear layer to four times the channels and one back, pixel by pixel.

    What it adds to its input is scaled channel by channel, at first by 1e-6.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.mlp = nn.Sequential(
            nn.LayerNorm(channels, eps=1e-6),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
        )
        self.scale = nn.Parameter(torch.full((channels,), _LAYER_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.mlp(self.conv(x).movedim(1, -1))
        return x + (self.scale * h).movedim(-1, 1)


def draw_truncated(network: nn.Module) -> None:
    """Draws 2-D convolutions and linear layers anew as in ConvNeXt: truncated normal, deviation 0.02, biases zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class ConvNeXt(nn.Module):
    """A 5x5 stem, stages of 3, 3, 9 and 3 blocks with a 3x3 convolution before all but the first; 22 searched.

    No convolution has a stride.

    Args:
        in_channels: Channels of the input.
        outputs: Classes.
        channels: Channels of the first stage; each of the others has twice those of the one before.

    Shape:
        - Input: ``(batch, in_channels, height, width)``.
        - Output: ``(batch, outputs)``, logits.

    Raises:
        ValueError: A count is below 1.

    Source: Liu, Mao, Wu, Feichtenhofer, Darrell and Xie, "A ConvNet for the 2020s", 2022, arXiv:2201.03545, in the
    size of DASH (arXiv:2204.07554). There the final network had one kernel a stage, read off the wrong layers; here
    every convolution has its own. The driver trains with SGD; DASH's settings of AdamW for it cannot be reached there.

    Note:
        In the first steps of a search the small scale leaves the logits of nearly all blocks gradients below 1e-8, at
        which DASH's rule fades the task out and the size penalty alone moves them; it takes the scales a few steps to
        grow.
    """

    def __init__(self, in_channels: int, outputs: int, *, channels: int = 16) -> None:
        super().__init__()
        at_least_one(in_channels=in_channels, outputs=outputs, channels=channels)
        stem = nn.Sequential(nn.Conv2d(in_channels, channels, 5, padding=2), ChannelNorm(channels))
        self.stages = nn.Sequential()
        for stage, depth in enumerate(_DEPTHS):
            wide = channels << stage
            before = nn.Sequential(ChannelNorm(wide // 2), nn.Conv2d(wide // 2, wide, 3, padding=1)) if stage else stem
            self.stages.append(nn.Sequential(before, *(Block(wide) for _ in range(depth))))
        self.norm = nn.LayerNorm(wide, eps=1e-6)
        self.head = nn.Linear(wide, outputs)
        draw_truncated(self)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.norm(self.stages(x).mean(dim=(2, 3))))
        return out
