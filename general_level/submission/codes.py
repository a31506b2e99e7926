"""The stable codes of all findings: what each says, why it matters, and what to do.

GL10x to GL12x are about the archive as a ZIP file, GL13x and GL14x about its name and layout,
GL15x and GL16x about a prediction.json and its rows, GL17x about single predictions, GL18x about
what is inside a media file.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


class Severity(enum.StrEnum):
    """An error refuses the archive; a warning only tells."""

    ERROR = "error"
    WARNING = "warning"


class Code(enum.StrEnum):
    """The stable codes. A retired code is never used again."""

    NOT_A_ZIP = "GL101"
    DAMAGED_DIRECTORY = "GL102"
    EMPTY_ARCHIVE = "GL103"
    TOO_MANY_MEMBERS = "GL104"
    UNPACKED_TOO_LARGE = "GL105"
    MEMBER_TOO_LARGE = "GL106"
    RATIO_TOO_HIGH = "GL107"
    OVERLAPPING_MEMBERS = "GL108"
    HEADER_MISMATCH = "GL109"
    PATH_ESCAPES = "GL110"
    SPECIAL_FILE = "GL111"
    DUPLICATE_NAME = "GL112"
    COLLIDING_NAMES = "GL113"
    ENCRYPTED = "GL114"
    UNSUPPORTED_METHOD = "GL115"
    NAME_NOT_UTF8 = "GL116"
    NAME_UNPRINTABLE = "GL117"
    PATH_TOO_LONG = "GL118"
    NESTED_TOO_DEEP = "GL119"
    MULTI_DISK = "GL120"
    CONTENT_DAMAGED = "GL121"
    JUNK_IGNORED = "GL122"
    ENCLOSING_FOLDER = "GL123"
    ENCLOSING_FOLDER_STRIPPED = "GL124"
    ARCHIVE_TOO_LARGE = "GL125"

    BAD_ARCHIVE_NAME = "GL130"
    UNKNOWN_BOARD = "GL131"
    BAD_MODEL_NAME = "GL132"
    MISSPELT_FOLDER = "GL133"
    MISPLACED_FOLDER = "GL134"
    UNKNOWN_FOLDER = "GL135"
    TASK_NOT_ON_BOARD = "GL136"
    NO_PREDICTION_FILE = "GL137"
    UNUSED_FILES = "GL138"
    MEDIA_MISSING = "GL140"
    MEDIA_EMPTY = "GL141"

    JSON_TOO_LARGE = "GL150"
    NOT_UTF8 = "GL151"
    BYTE_ORDER_MARK = "GL152"
    NOT_JSON = "GL153"
    NOT_A_LIST = "GL154"
    EMPTY_LIST = "GL155"
    TOO_MANY_ITEMS = "GL156"
    JSON_TOO_DEEP = "GL157"
    ROW_NOT_AN_OBJECT = "GL158"
    DUPLICATE_KEY = "GL159"
    MISSING_KEY = "GL160"
    EXTRA_KEY = "GL161"
    BAD_ID = "GL162"
    DUPLICATE_ID = "GL163"
    UNKNOWN_ID = "GL164"
    ABSENT_IDS = "GL165"

    WRONG_TYPE = "GL170"
    NULL_PREDICTION = "GL171"
    NUMBER_AS_TEXT = "GL172"
    NOT_FINITE = "GL173"
    TOO_LONG = "GL174"
    BAD_UNICODE = "GL175"
    BAD_MEDIA_PATH = "GL176"
    BAD_MEDIA_FORMAT = "GL177"
    INCONSISTENT_ANSWER = "GL178"

    MEDIA_UNREADABLE = "GL180"
    MEDIA_TOO_LARGE = "GL181"
    MEDIA_WRONG_SHAPE = "GL182"
    MEDIA_NOT_FINITE = "GL183"
    MEDIA_OBJECTS = "GL184"
    MEDIA_NO_CONTENT = "GL185"
    ANSWERS_TOO_LARGE = "GL186"
    ANSWER_DOES_NOT_FIT = "GL187"


#: The codes that only a grader finds, because the checker does not open media files. They are
#: warnings: such an item counts as a wrong answer and the others are scored.
CONTENT_CODES = frozenset(
    {
        Code.MEDIA_UNREADABLE,
        Code.MEDIA_TOO_LARGE,
        Code.MEDIA_WRONG_SHAPE,
        Code.MEDIA_NOT_FINITE,
        Code.MEDIA_OBJECTS,
        Code.MEDIA_NO_CONTENT,
        Code.ANSWERS_TOO_LARGE,
        Code.ANSWER_DOES_NOT_FIT,
    }
)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a code says. ``message`` and ``remedy`` are templates over the finding's data."""

    title: str
    message: str
    remedy: str
    severity: Severity = Severity.ERROR


_W = Severity.WARNING

RULES: Mapping[Code, Rule] = MappingProxyType(
    {
        # The archive as a ZIP file.
        Code.NOT_A_ZIP: Rule(
            "Not a ZIP archive",
            "The file is not a ZIP archive{hint}.",
            "Pack the folder as a plain .zip file and submit that.",
        ),
        Code.DAMAGED_DIRECTORY: Rule(
            "Truncated or damaged archive",
            "The archive's directory cannot be read: {reason}.",
            "Make the archive again, test it with `unzip -t`, and compare its size after copying.",
        ),
        Code.EMPTY_ARCHIVE: Rule(
            "Empty archive",
            "The archive holds no file.",
            "Add at least one task folder with its prediction.json.",
        ),
        Code.TOO_MANY_MEMBERS: Rule(
            "Too many members",
            "The archive has {count} entries; at most {limit} are allowed.",
            "Leave out files that no prediction names.",
        ),
        Code.UNPACKED_TOO_LARGE: Rule(
            "Unpacked size too large",
            "The archive unpacks to {size} bytes; at most {limit} are allowed.",
            "Encode media answers more compactly, or leave out files that no prediction names.",
        ),
        Code.MEMBER_TOO_LARGE: Rule(
            "Member too large",
            "This file has {size} bytes unpacked; at most {limit} are allowed.",
            "Encode this file more compactly.",
        ),
        Code.RATIO_TOO_HIGH: Rule(
            "Compression ratio too high",
            "This file unpacks to {ratio} times its packed size; at most {limit} is allowed.",
            "Store this file without compression (`zip -0`).",
        ),
        Code.OVERLAPPING_MEMBERS: Rule(
            "Overlapping members",
            "The bytes of this file overlap those of {other} inside the archive.",
            "Make the archive again with an ordinary ZIP program.",
        ),
        Code.HEADER_MISMATCH: Rule(
            "Header and directory differ",
            "The header of this file and the archive's directory differ in the {field}.",
            "Make the archive again with an ordinary ZIP program.",
        ),
        Code.PATH_ESCAPES: Rule(
            "Path leaves the archive",
            "This path is not a plain relative path: {reason}.",
            "Use paths relative to the top of the archive, with forward slashes and without `..`.",
        ),
        Code.SPECIAL_FILE: Rule(
            "Symbolic link or special file",
            "This entry is a {what}, not a file.",
            "Replace it by the file itself (`zip` follows links unless told `-y`).",
        ),
        Code.DUPLICATE_NAME: Rule(
            "Duplicate name",
            "The archive has more than one entry of this name.",
            "Keep one; make the archive afresh instead of adding to an old one.",
        ),
        Code.COLLIDING_NAMES: Rule(
            "Colliding names",
            "This name and {other} are the same on some file systems.",
            "Rename one of the two.",
        ),
        Code.ENCRYPTED: Rule(
            "Encrypted member",
            "This file is encrypted.",
            "Make the archive without a password.",
        ),
        Code.UNSUPPORTED_METHOD: Rule(
            "Unsupported compression method",
            "This file is compressed with {method}; stored and deflate are supported.",
            "Make the archive with `zip` or Python's zipfile and their default compression.",
        ),
        Code.NAME_NOT_UTF8: Rule(
            "Name not in UTF-8",
            "The name of this entry is not UTF-8; it starts {name}.",
            "Use a ZIP program that writes names in UTF-8.",
        ),
        Code.NAME_UNPRINTABLE: Rule(
            "Control characters in a name",
            "This name has the unprintable character {character}.",
            "Rename the file with printable characters only.",
        ),
        Code.PATH_TOO_LONG: Rule(
            "Path too long",
            "This path has {size} bytes; at most {limit} are allowed, and 255 in one part.",
            "Use a shorter name.",
        ),
        Code.NESTED_TOO_DEEP: Rule(
            "Folders nested too deep",
            "This path has {depth} parts; at most {limit} are allowed.",
            "Put the file closer to its task folder.",
        ),
        Code.MULTI_DISK: Rule(
            "Multi-disk archive",
            "The archive is split into several parts.",
            "Make one single .zip file.",
        ),
        Code.CONTENT_DAMAGED: Rule(
            "Damaged content",
            "This file cannot be unpacked: {reason}.",
            "Make the archive again and test it with `unzip -t`.",
        ),
        Code.JUNK_IGNORED: Rule(
            "Operating system files ignored",
            "{count} files that an operating system added were ignored.",
            "Nothing to do; `zip -X -x '.DS_Store' '__MACOSX/*'` leaves them out.",
            _W,
        ),
        Code.ENCLOSING_FOLDER: Rule(
            "Enclosing folder",
            "Everything lies inside the folder {folder}.",
            "Pack the folder's content instead of the folder.",
        ),
        Code.ENCLOSING_FOLDER_STRIPPED: Rule(
            "Enclosing folder stripped",
            "Everything lay inside the folder {folder}; it was stripped, as allowed.",
            "Nothing to do; next time pack the folder's content instead of the folder.",
            _W,
        ),
        Code.ARCHIVE_TOO_LARGE: Rule(
            "Archive too large",
            "The archive has {size} bytes; at most {limit} are allowed.",
            "Encode media answers more compactly, or leave out files that no prediction names.",
        ),
        # Its name and layout.
        Code.BAD_ARCHIVE_NAME: Rule(
            "Archive name not of the form",
            "The archive name {name} is not of the form `<Model Name>-<Board ID>.zip`.",
            "Rename the file, for example to `My Model-{example}.zip`.",
        ),
        Code.UNKNOWN_BOARD: Rule(
            "Unknown board",
            "The archive name {name} does not end in the id of a board{hint}.",
            "End the name in a board id, exactly as `general-level boards` prints it.",
        ),
        Code.BAD_MODEL_NAME: Rule(
            "Unusable model name",
            "The model name in the archive name is unusable: {reason}.",
            "Name the model before the board id: `<Model Name>-<Board ID>.zip`.",
        ),
        Code.MISSPELT_FOLDER: Rule(
            "Folder name misspelt",
            "{count} files lie in a folder that is no task's, but nearly {expected}.",
            "Rename the folder to exactly {expected}.",
        ),
        Code.MISPLACED_FOLDER: Rule(
            "Task folder in the wrong place",
            "{count} files lie in a task folder that belongs elsewhere: at {expected}.",
            "Move the folder to exactly {expected}.",
        ),
        Code.UNKNOWN_FOLDER: Rule(
            "Files of no task",
            "{count} files here belong to no task.",
            "Remove them, or move them to `<modality>/<paradigm>/<Task>/` (language: "
            "`nlp/<Task>/`).",
        ),
        Code.TASK_NOT_ON_BOARD: Rule(
            "Task not on the board",
            "The task {task} is not on the board {board}.",
            "Remove the folder, or submit to a board that has this task.",
        ),
        Code.NO_PREDICTION_FILE: Rule(
            "prediction.json missing",
            "The task folder has no prediction.json{hint}.",
            "Put the answers at exactly {expected}, or remove the folder.",
        ),
        Code.UNUSED_FILES: Rule(
            "Files that no prediction names",
            "{count} files of this task are named by no prediction, for example {example}.",
            "Nothing to do; leave them out to make the archive smaller.",
            _W,
        ),
        Code.MEDIA_MISSING: Rule(
            "Media file missing",
            "The prediction names {value}, which is not in the task's folder{hint}.",
            "Add the file, or correct the path; it is relative to the task's folder.",
        ),
        Code.MEDIA_EMPTY: Rule(
            "Media file empty",
            "The prediction names {value}, which has no content.",
            "Write the file again, or leave this item out: it then counts as a wrong answer.",
        ),
        # A prediction.json and its rows.
        Code.JSON_TOO_LARGE: Rule(
            "prediction.json too large",
            "This file has {size} bytes; at most {limit} are allowed.",
            "Write shorter answers, without indentation.",
        ),
        Code.NOT_UTF8: Rule(
            "Not UTF-8",
            "This file is not UTF-8{hint}; the first wrong byte is number {offset}.",
            "Write the file in UTF-8, for example `open(path, 'w', encoding='utf-8')`.",
        ),
        Code.BYTE_ORDER_MARK: Rule(
            "Byte order mark ignored",
            "This file begins with a byte order mark; it was ignored.",
            "Nothing to do; write plain UTF-8 (`utf-8`, not `utf-8-sig`).",
            _W,
        ),
        Code.NOT_JSON: Rule(
            "Not JSON",
            "This is not valid JSON: {reason}.",
            "Write the file with a JSON library, and finish it before packing.",
        ),
        Code.NOT_A_LIST: Rule(
            "Not a list",
            "This file holds {found} instead of one JSON list.",
            'Write one list: `[{{"id": "1", "prediction": …}}, …]`.',
        ),
        Code.EMPTY_LIST: Rule(
            "Empty list",
            "The list of predictions is empty.",
            "Add the predictions, or remove the task's folder: the task is then unsupported.",
        ),
        Code.TOO_MANY_ITEMS: Rule(
            "Too many items",
            "The list has more than {limit} items.",
            "Write exactly one row for each item of the task.",
        ),
        Code.JSON_TOO_DEEP: Rule(
            "JSON nested too deep",
            "The JSON is nested deeper than {limit} levels.",
            "Write the prediction in the form of the task's answer kind.",
        ),
        Code.ROW_NOT_AN_OBJECT: Rule(
            "Row is not an object",
            "This row is {found} instead of an object.",
            'Write each row as `{{"id": …, "prediction": …}}`.',
        ),
        Code.DUPLICATE_KEY: Rule(
            "Duplicate key",
            "This row has the key {key} more than once.",
            "Write each key once.",
        ),
        Code.MISSING_KEY: Rule(
            "Missing key",
            "This row has no {key}.",
            'Write each row as `{{"id": …, "prediction": …}}`.',
        ),
        Code.EXTRA_KEY: Rule(
            "Extra key ignored",
            "This row has the extra key {key}; it was ignored.",
            "Nothing to do; only `id` and `prediction` are read.",
            _W,
        ),
        Code.BAD_ID: Rule(
            "Unusable id",
            "The id of this row is unusable: {reason}.",
            "Copy the id from the task's inputs.json.",
        ),
        Code.DUPLICATE_ID: Rule(
            "Duplicate id",
            "The id {id} was already used in row {first_row}.",
            "Write exactly one row for each item.",
        ),
        Code.UNKNOWN_ID: Rule(
            "Unknown id",
            "The task has no item with the id {id}.",
            "Copy the ids from the task's inputs.json; leading zeros count.",
        ),
        Code.ABSENT_IDS: Rule(
            "Items absent",
            "{count} of the task's {total} items have no row, for example {example}.",
            "Add the rows: an absent item counts as a wrong answer.",
            _W,
        ),
        # Single predictions.
        Code.WRONG_TYPE: Rule(
            "Prediction of the wrong type",
            "The prediction is not of the form for {kind} answers: {reason}.",
            "Write {expected}.",
        ),
        Code.NULL_PREDICTION: Rule(
            "Prediction is null",
            "The prediction is null.",
            "Leave the row out if there is no answer (it counts as wrong), or write {expected}.",
        ),
        Code.NUMBER_AS_TEXT: Rule(
            "Number written as text",
            "The prediction is a number written as text{place}.",
            "Write the number without quotes.",
        ),
        Code.NOT_FINITE: Rule(
            "Number not finite or out of range",
            "The prediction has a number that is not finite or out of range: {reason}.",
            "Write finite numbers of plausible size; leave the row out if there is no answer.",
        ),
        Code.TOO_LONG: Rule(
            "Answer too long",
            "The prediction is too long: {reason}.",
            "Shorten the answer to what was asked.",
        ),
        Code.BAD_UNICODE: Rule(
            "Half a character",
            "This row has half of a surrogate pair (\\ud800 to \\udfff without its partner).",
            "Clean the text before writing it: `text.encode('utf-8', 'replace').decode('utf-8')`.",
        ),
        Code.BAD_MEDIA_PATH: Rule(
            "Unusable media path",
            "The path {value} is unusable: {reason}.",
            "Write a path relative to the task's folder, with forward slashes.",
        ),
        Code.BAD_MEDIA_FORMAT: Rule(
            "Media format not accepted",
            "The file {value} has no accepted ending for {kind} answers.",
            "Write one of {expected}.",
        ),
        Code.INCONSISTENT_ANSWER: Rule(
            "Answer contradicts itself",
            "The prediction contradicts itself: {reason}.",
            "Correct the answer; {expected} is expected.",
        ),
        # What is inside a media file.
        Code.MEDIA_UNREADABLE: Rule(
            "Media file cannot be read",
            "The file is damaged, cut off, or not of the format that its name says.",
            "Open the file with another program, and write it again.",
            _W,
        ),
        Code.MEDIA_TOO_LARGE: Rule(
            "Media content too large",
            "The answer has more pixels, frames, seconds, points or faces than are read.",
            "Write the answer in the size that the task asks for.",
            _W,
        ),
        Code.MEDIA_WRONG_SHAPE: Rule(
            "Content of the wrong shape",
            "The file can be read, but has another number of dimensions or channels.",
            "Write arrays of the shape that the format page names for this kind of answer.",
            _W,
        ),
        Code.MEDIA_NOT_FINITE: Rule(
            "Content not finite or out of range",
            "The file has numbers that are NaN, infinite or out of range.",
            "Write finite numbers of plausible size.",
            _W,
        ),
        Code.MEDIA_OBJECTS: Rule(
            "Objects instead of numbers",
            "The file holds pickled objects or records instead of plain numbers.",
            "Save a plain array of numbers: `numpy.save(path, array, allow_pickle=False)`.",
            _W,
        ),
        Code.MEDIA_NO_CONTENT: Rule(
            "Nothing in the media file",
            "The file can be read, but has no pixel, frame, sample, point or face.",
            "Write the answer again, or leave the item out: it counts as a wrong answer.",
            _W,
        ),
        Code.ANSWERS_TOO_LARGE: Rule(
            "Answers of the task too large together",
            "All answers of this task together are larger than is read; this one is beyond it.",
            "Write the answers in the size that the task asks for.",
            _W,
        ),
        Code.ANSWER_DOES_NOT_FIT: Rule(
            "Answer does not fit its item",
            "The answer has another size, another number of frames or points than its item.",
            "Write it in the size of the item's input, as the task asks; it counted as missing.",
            _W,
        ),
    }
)
