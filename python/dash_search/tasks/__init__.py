# SPDX-License-Identifier: BSD-3-Clause
"""The built-in tasks. To add one, write its file and name it in the list below."""

from .cifar100 import CIFAR100
from .darcy16 import DARCY16
from .mnist5k import MNIST5K
from .smnist5k import SMNIST5K
from .task import Backbone, DataFile, Task

TASKS = {task.name: task for task in (MNIST5K, SMNIST5K, DARCY16, CIFAR100)}

__all__ = ["TASKS", "Backbone", "DataFile", "Task"]
