"""What an archive and an answer may be at most; the checker and the gateway share these limits.

Every name ends in its unit. A limit is generous for an honest submission (the largest published
task has some thousands of items) and small enough that reading up to it cannot hurt the reader.
"""

from __future__ import annotations

from typing import Final

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB
_GIB: Final = 1024 * _MIB

# The archive as a file.
MAX_ARCHIVE_BYTES: Final = 16 * _GIB
MAX_MEMBERS: Final = 200_000  # entries of the ZIP directory, folders included
MAX_UNPACKED_BYTES: Final = 64 * _GIB  # sum of all members' unpacked sizes
MAX_MEMBER_BYTES: Final = 2 * _GIB  # one media file, unpacked
#: Unpacked over packed size of one member. Deflate reaches about 1030 on constant bytes, text
#: rarely passes 30; small members are exempt, because a short repetitive JSON is honest.
MAX_COMPRESSION_RATIO: Final = 200
MIN_RATIO_CHECKED_BYTES: Final = 1 * _MIB

# The names of its members.
MAX_PATH_BYTES: Final = 512  # one member's whole path, in UTF-8
MAX_NAME_BYTES: Final = 255  # one part of a path, in UTF-8; what common file systems allow
MAX_NESTING_DEPTH: Final = 8  # parts of one path, the file name included

# One prediction.json.
MAX_PREDICTION_JSON_BYTES: Final = 256 * _MIB
MAX_JSON_DEPTH: Final = 64  # nested lists and objects
MAX_ITEMS_PER_TASK: Final = 200_000
MAX_ITEM_ID_CHARS: Final = 256

# One answer.
MAX_TEXT_CHARS: Final = 100_000
MAX_CODE_CHARS: Final = 100_000
MAX_LABEL_CHARS: Final = 1_000
MAX_LABELS_PER_ANSWER: Final = 1_000
MAX_RANKING_LENGTH: Final = 1_000  # entries of one ranked list
MAX_SERIES_LENGTH: Final = 100_000  # numbers in one series
MAX_NUMBER_MAGNITUDE: Final = 1e15  # absolute value; keeps squares and sums finite
MAX_BOXES_PER_ANSWER: Final = 10_000
MAX_MASKS_PER_ANSWER: Final = 1_000
MAX_RLE_BYTES: Final = 8 * _MIB  # one run-length encoded mask
MAX_IMAGE_SIDE_PIXELS: Final = 16_384
MAX_FRAMES_PER_ANSWER: Final = 100_000
MAX_RELATIONS_PER_ANSWER: Final = 1_000  # edges of one scene graph
MAX_POINTS_PER_ANSWER: Final = 10_000_000

# What is written about a submission.
MAX_FINDINGS_REPORTED: Final = 1_000
MAX_MODEL_NAME_CHARS: Final = 100
MAX_ORGANISATION_CHARS: Final = 200
MAX_DESCRIPTION_CHARS: Final = 2_000
MAX_LINK_CHARS: Final = 2_000
MAX_EMAIL_CHARS: Final = 254  # RFC 5321, section 4.5.3.1.3, less its two angle brackets
MAX_PARAMETER_COUNT: Final = 10**16  # parameters of a model
