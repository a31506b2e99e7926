"""What can be wrong with an operator's weights folder; each is a fault of ours, never of a lab."""

from __future__ import annotations

from general_level.errors import GeneralLevelError


class WeightsInvalid(GeneralLevelError):
    """The weights cannot be used as they are."""

    reason = "WEIGHTS_INVALID"


class WeightsMissing(WeightsInvalid):
    """The weights folder lacks a file that the manifest names."""

    reason = "WEIGHTS_MISSING"


class WeightsUnpinned(WeightsInvalid):
    """No SHA-256 is known for a weights file; pin the one that you trust."""

    reason = "WEIGHTS_UNPINNED"


class WeightsDigestMismatch(WeightsInvalid):
    """A weights file is not the one that was pinned."""

    reason = "WEIGHTS_DIGEST_MISMATCH"
