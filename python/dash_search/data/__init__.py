# SPDX-License-Identifier: BSD-3-Clause
"""What the tasks share: finding files, reading them safely, cutting and normalising what they hold."""
