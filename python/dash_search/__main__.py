# SPDX-License-Identifier: BSD-3-Clause
"""``python -m dash_search`` is the command ``dash-search``."""

import sys

from .cli import main

sys.exit(main())
