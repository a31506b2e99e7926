"""The limits of one check as a value, so that a test can prove each with a small one."""

from __future__ import annotations

from dataclasses import dataclass

from general_level.catalogue import limits as catalogue_limits

#: Bytes of a ZIP directory that are read into memory at most: 200,000 entries of 300 bytes.
MAX_DIRECTORY_BYTES = 64 * 1024 * 1024

#: Findings of one code in one member that are written out; the rest is counted only, so that one
#: fault repeated in every row does not hide the others.
MAX_FINDINGS_PER_CODE_AND_MEMBER = 100


@dataclass(frozen=True, slots=True)
class Limits:
    """What one archive may be at most. Names carry their unit; the defaults are the service's."""

    archive_bytes: int = catalogue_limits.MAX_ARCHIVE_BYTES
    directory_bytes: int = MAX_DIRECTORY_BYTES
    members: int = catalogue_limits.MAX_MEMBERS
    unpacked_bytes: int = catalogue_limits.MAX_UNPACKED_BYTES
    member_bytes: int = catalogue_limits.MAX_MEMBER_BYTES
    compression_ratio: int = catalogue_limits.MAX_COMPRESSION_RATIO
    ratio_checked_bytes: int = catalogue_limits.MIN_RATIO_CHECKED_BYTES
    path_bytes: int = catalogue_limits.MAX_PATH_BYTES
    name_bytes: int = catalogue_limits.MAX_NAME_BYTES
    nesting_depth: int = catalogue_limits.MAX_NESTING_DEPTH
    prediction_json_bytes: int = catalogue_limits.MAX_PREDICTION_JSON_BYTES
    json_depth: int = catalogue_limits.MAX_JSON_DEPTH
    items_per_task: int = catalogue_limits.MAX_ITEMS_PER_TASK
    findings_reported: int = catalogue_limits.MAX_FINDINGS_REPORTED
    findings_per_code_and_member: int = MAX_FINDINGS_PER_CODE_AND_MEMBER


#: The limits of the service.
DEFAULT_LIMITS = Limits()
