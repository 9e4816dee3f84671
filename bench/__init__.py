# SPDX-License-Identifier: BSD-3-Clause
"""Benchmarks that decide: layers and search steps of ten tasks beside their rivals, in turns, after a correctness gate.

`python -m bench layers`, `python -m bench steps`; what they write is weighed against the targets in `targets.py`.
"""
