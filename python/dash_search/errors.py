# SPDX-License-Identifier: BSD-3-Clause
"""Errors a user can act on: the command line prints their sentence without a traceback."""


class DashSearchError(Exception):
    """Something outside the program stands in the way; the message says what, and what to do."""


class SettingsError(DashSearchError, ValueError):
    """A setting, or an argument of the search, is not what it has to be."""


class DataError(DashSearchError):
    """A task's data cannot be fetched, or is not what it should be."""


class RunFolderError(DashSearchError):
    """A run folder cannot be used as asked."""


class TrainingError(DashSearchError):
    """Training cannot go on: a loss, an output, a logit or a score is not a finite number."""
