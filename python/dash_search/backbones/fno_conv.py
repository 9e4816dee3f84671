# SPDX-License-Identifier: BSD-3-Clause
"""The Fourier neural operator with circular convolutions in the place of its spectral ones."""

from torch import Tensor, nn

from ._check import at_least_one

_LAYERS, _KERNEL_SIZE = 4, 13


class Layer(nn.Module):
    """The sum of a circular convolution and of a 1x1 convolution of the input, batch-normed."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            channels, channels, _KERNEL_SIZE, padding=_KERNEL_SIZE // 2, padding_mode="circular", bias=False
        )
        self.pointwise = nn.Conv2d(channels, channels, 1)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.bn(self.conv(x) + self.pointwise(x))
        return out


class FNOConv(nn.Module):
    """Lifted to more channels, four layers, and down to the outputs pixel by pixel; 4 convolutions of 13x13, searched.

    Args:
        in_channels: Channels of the input, the coordinates among them.
        outputs: Fields.
        channels: Channels of the layers; the hidden one of the head has four times as many.

    Shape:
        - Input: ``(batch, in_channels, height, width)``, at least 6 pixels each way until smaller kernels are chosen.
        - Output: ``(batch, outputs, height, width)``.

    Raises:
        ValueError: A count is below 1.

    Source: Li, Kovachki, Azizzadenesheli, Liu, Bhattacharya, Stuart and Anandkumar, "Fourier Neural Operator for
    Parametric Partial Differential Equations", 2020, arXiv:2010.08895, in the convolutional form of DASH
    (arXiv:2204.07554). There channels come last, and its search fails on that; it would also have searched the 1x1
    convolutions, which say nothing of place. The driver trains with SGD.
    """

    def __init__(self, in_channels: int, outputs: int, *, channels: int = 32) -> None:
        super().__init__()
        at_least_one(in_channels=in_channels, outputs=outputs, channels=channels)
        self.lift = nn.Conv2d(in_channels, channels, 1)
        self.layers = nn.ModuleList(Layer(channels) for _ in range(_LAYERS))
        self.head = nn.Sequential(nn.Conv2d(channels, 4 * channels, 1), nn.ReLU(), nn.Conv2d(4 * channels, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.layers[0](self.lift(x))
        for layer in self.layers[1:]:
            h = layer(h.relu())
        out: Tensor = self.head(h)
        return out
