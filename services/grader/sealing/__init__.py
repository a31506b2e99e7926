"""The operator's side of the sealed answers: matching, splitting and sealing a benchmark."""

from services.grader.key_files import KEY_FILE_NAMES
from services.grader.sealing.report import Problem, SealedTask, SealReport, Trouble
from services.grader.sealing.seal import SealingRefused, seal

__all__ = [
    "KEY_FILE_NAMES",
    "Problem",
    "SealReport",
    "SealedTask",
    "SealingRefused",
    "Trouble",
    "seal",
]
