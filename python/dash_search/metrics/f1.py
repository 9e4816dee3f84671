# SPDX-License-Identifier: BSD-3-Clause
"""F1 scores of tasks that name one class per sample, or per recording that samples were cut from."""

import torch
from torch import Tensor

from ..data.extras import need
from .metric import Metric


def votes(outputs: Tensor, recordings: Tensor) -> tuple[Tensor, Tensor]:
    """The class that most windows of each recording name; of several with as many votes, the one of lowest number.

    Args:
        outputs: ``(N, classes)``; a window names the class of its largest output.
        recordings: ``(N,)``, from which recording each window is.

    Returns:
        Classes ``(R,)``, in the order of the recordings' numbers, and for each window its place in that order.
    """
    numbers, place = torch.unique(recordings, return_inverse=True)
    counts = torch.zeros(len(numbers), outputs.shape[1], dtype=torch.int64)
    counts.index_put_((place, outputs.argmax(dim=1)), torch.ones_like(place), accumulate=True)
    return counts.argmax(dim=1), place


def _error_of_votes(outputs: Tensor, targets: Tensor) -> float:
    if outputs.dim() != 2 or targets.shape != (len(outputs), 2):
        raise ValueError(
            f"outputs are {tuple(outputs.shape)}, targets {tuple(targets.shape)}: give outputs (N, classes) and, of "
            "each window, class and number of its recording (N, 2)."
        )
    named, place = votes(outputs, targets[:, 1])
    wanted = torch.empty_like(named).index_put_((place,), targets[:, 0])
    score = need("sklearn.metrics").f1_score
    return 1 - float(score(wanted, named, labels=range(outputs.shape[1]), average="macro", zero_division=0))


# The mean F1 of all classes; one that no recording has, and that none is taken for, has F1 0.
F1_ERROR_OF_VOTES = Metric("1-F1 of recordings", _error_of_votes, higher_is_better=False)


def f1_error_of_batches(size: int) -> Metric:
    """Mean over batches of so many windows, a short last one included, of 1 - the mean F1 of the classes in it.

    A class is in a batch if a window has it or is taken for it. This is how DASH's code scores.
    """

    def compute(outputs: Tensor, targets: Tensor) -> float:
        score = need("sklearn.metrics").f1_score
        batches = zip(torch.split(targets, size), torch.split(outputs.argmax(dim=1), size), strict=True)
        scores = [float(score(wanted, named, average="macro")) for wanted, named in batches]
        return 1 - sum(scores) / len(scores)

    return Metric(f"1-F1 of windows, mean of batches of {size}", compute, higher_is_better=False)
