# SPDX-License-Identifier: BSD-3-Clause
"""The built-in tasks. To add one, write its file and name it in the list below."""

from .cifar10 import CIFAR10
from .cifar100 import CIFAR100
from .darcy16 import DARCY16
from .mnist5k import MNIST5K
from .permuted import CIFAR10_PERM, CIFAR100_PERM
from .psicov import PSICOV
from .smnist5k import SMNIST5K
from .task import Backbone, DataFile, Task

OFFLINE = (MNIST5K, SMNIST5K, DARCY16)  # their data come in wheels
OFFICIAL = (CIFAR100, CIFAR10, CIFAR10_PERM, CIFAR100_PERM, PSICOV)  # the user puts their files in place

TASKS = {task.name: task for task in (*OFFLINE, *OFFICIAL)}

__all__ = ["TASKS", "Backbone", "DataFile", "Task"]
