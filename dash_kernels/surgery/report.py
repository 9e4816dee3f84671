# SPDX-License-Identifier: BSD-3-Clause
"""What ``convert`` tells about each convolution of a model."""

from dataclasses import dataclass

from .._mixed import MixedConvNd
from .._table import table
from ..conv import AnyConv
from ..space import Candidate
from .rules import AnyTransposed


@dataclass(frozen=True)
class ConvertRow:
    """What :func:`convert` did with one convolution.

    Attributes:
        name: The module's name in the model; of one used several times, the first.
        module: What stood there, as its class and shape in short.
        replaced: Whether a mixed convolution stands there now.
        reason: Why it was kept, or what is worth knowing about the replacement.
    """

    name: str
    module: str
    replaced: bool
    reason: str


@dataclass(frozen=True, repr=False)
class ConvertReport:
    """What :func:`convert` did, one row per convolution in the order of ``named_modules``; prints as a table."""

    rows: tuple[ConvertRow, ...]

    @property
    def replaced(self) -> tuple[str, ...]:
        """Names of the modules that are mixed convolutions now and were none before."""
        return tuple(row.name for row in self.rows if row.replaced)

    def __repr__(self) -> str:
        cells = [(row.name, row.module, "replaced" if row.replaced else "kept", row.reason) for row in self.rows]
        count = f"{len(self.replaced)} of {len(self.rows)} convolutions replaced"
        return f"{table([('name', 'module', '', 'reason'), *cells])}\n{count}"


def described(conv: AnyConv | AnyTransposed | MixedConvNd) -> str:
    """Class, channels and kernel of a convolution in one short word, such as ``Conv2d(3, 16, 3x3/1)``."""
    kernel = "mixed" if isinstance(conv, MixedConvNd) else str(Candidate(conv.kernel_size, conv.dilation))
    return f"{type(conv).__name__}({conv.in_channels}, {conv.out_channels}, {kernel})"
