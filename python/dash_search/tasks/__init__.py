# SPDX-License-Identifier: BSD-3-Clause
"""The built-in tasks. To add one, write its file and name it in the list below."""

from .darcy16 import DARCY16
from .mnist5k import MNIST5K
from .smnist5k import SMNIST5K
from .task import Splits, Task

TASKS = {task.name: task for task in (MNIST5K, SMNIST5K, DARCY16)}

__all__ = ["TASKS", "Splits", "Task"]
