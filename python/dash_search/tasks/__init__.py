# SPDX-License-Identifier: BSD-3-Clause
"""The built-in tasks. To add one, write its file and name it in the list below."""

from .cifar10 import CIFAR10
from .cifar100 import CIFAR100
from .cosmic import COSMIC
from .darcy import DARCY
from .darcy16 import DARCY16
from .darcy85 import DARCY85, DARCY85_100
from .deepsea import DEEPSEA
from .ecg import ECG
from .fsd50k import FSD50K
from .mnist import MNIST
from .mnist5k import MNIST5K
from .music import MUSIC_JSB, MUSIC_NOTTINGHAM
from .ninapro import NINAPRO
from .permuted import CIFAR10_PERM, CIFAR100_PERM, MNIST_PERM
from .pigcvp import PIGCVP
from .psicov import PSICOV
from .satellite import SATELLITE
from .satimage import SATIMAGE
from .smnist5k import SMNIST5K
from .spherical import SPHERICAL
from .spherical_mnist import SPHERICAL_MNIST
from .splice import SPLICE
from .task import Backbone, DataFile, Task
from .vowels import VOWELS
from .watch import WATCH

# their data come in wheels, or are generated
OFFLINE = (MNIST5K, SMNIST5K, DARCY16, DARCY85, DARCY85_100, SPHERICAL_MNIST, SPLICE, SATIMAGE, WATCH, VOWELS, PIGCVP)
# NAS-Bench-360; the user puts the files in place
OFFICIAL = (CIFAR100, SPHERICAL, DARCY, PSICOV, COSMIC, NINAPRO, FSD50K, ECG, SATELLITE, DEEPSEA)
FURTHER = (CIFAR10, CIFAR10_PERM, CIFAR100_PERM, MNIST, MNIST_PERM, MUSIC_JSB, MUSIC_NOTTINGHAM)  # of DASH, likewise

TASKS = {task.name: task for task in (*OFFLINE, *OFFICIAL, *FURTHER)}

__all__ = ["TASKS", "Backbone", "DataFile", "Task"]
