# SPDX-License-Identifier: BSD-3-Clause
"""The Triton kernels and nothing else: imported on first use, since importing them imports Triton."""
