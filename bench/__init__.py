# SPDX-License-Identifier: BSD-3-Clause
"""Benchmarks: entries as data, rivals that compute the same function, timing in turns. `make bench` runs them."""
