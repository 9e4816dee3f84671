# SPDX-License-Identifier: BSD-3-Clause
"""cifar10-perm, cifar100-perm, mnist-perm: these tasks with neighbouring pixels moved far apart."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from ..data.order import Reordered, bit_reversal, drawn_order
from ..data.splits import Splits
from .cifar10 import CIFAR10
from .cifar100 import CIFAR100
from .mnist import MNIST, STEPS
from .task import Task


def permuted(task: Task, order: Tensor) -> Task:
    """A task of images or sequences with the places of its inputs in another order, under every protocol it has.

    Everything else is the task's own: a view of a photograph is moved and mirrored before its pixels are reordered.
    """

    def load(paths: Sequence[Path]) -> Splits:
        splits = task.load(paths)
        train, valid, test = (Reordered(part, order) for part in (splits.train, splits.valid, splits.test))
        return dataclasses.replace(splits, train=train, valid=valid, test=test)

    return dataclasses.replace(
        task,
        summary=f"{task.summary}, pixels permuted",
        load=load,
        defaults=task.defaults.model_copy(update={"task": f"{task.name}-perm"}),
        paper=task.paper and permuted(task.paper, order),
    )


CIFAR10_PERM = permuted(CIFAR10, bit_reversal(32))  # rows and columns by themselves
CIFAR100_PERM = permuted(CIFAR100, bit_reversal(32))
MNIST_PERM = permuted(MNIST, drawn_order(STEPS, seed=1111))  # DASH's seed, which set the whole run's generators there
