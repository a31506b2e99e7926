"""The words of the benchmark as typed, immutable values.

A *catalogue* is one version of General-Bench: its tasks, skills, metrics, boards and reference
lists. Everything else in the platform refers to these values by their stable ids.

Source of the terms: "On Path to Multimodal Generalist: General-Level and General-Bench",
arXiv 2505.04620 (ICML 2025), sections 3 and 4.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType


class Modality(enum.StrEnum):
    """What an answer or an input is made of. The value is what files, ids and pages show."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    THREE_D = "3d"
    LANGUAGE = "language"


#: The modalities whose synergy the levels 2 to 4 average; language enters at level 5 only.
NON_LANGUAGE = (Modality.IMAGE, Modality.VIDEO, Modality.AUDIO, Modality.THREE_D)


#: The top folder of language tasks in an archive; they have no folder for a paradigm.
LANGUAGE_FOLDER = "nlp"


class Paradigm(enum.StrEnum):
    """Understanding or making. Language tasks have no paradigm in the formulas."""

    COMPREHENSION = "comprehension"
    GENERATION = "generation"
    NONE = "none"


class Direction(enum.StrEnum):
    """Which way a raw metric value gets better."""

    HIGHER = "higher"
    LOWER = "lower"


class ScoreMapping(enum.StrEnum):
    """How a raw metric value becomes a score in [0, 100] (DESIGN section 5, paper Appendix)."""

    IDENTITY = "identity"  # already in percent
    TANH_INVERSE = "tanh-inverse"  # 100 * tanh(scale / (2 x)), 100 at x = 0; lower is better
    TANH = "tanh"  # 100 * tanh(x / scale); PSNR with scale 20
    ONE_MINUS_PERCENT = "one-minus-percent"  # 100 - clip(x, 0, 100); WER in percent
    SIGNED_UNIT = "signed-unit"  # 100 * (x + 1) / 2; MS-SSIM
    OPINION = "opinion"  # 100 * (x - 1) / 4; MOS on 1..5


class Grading(enum.StrEnum):
    """Who produces the raw value of a metric."""

    AUTOMATIC = "automatic"  # a grader computes it from the predictions and the key
    RATINGS = "ratings"  # an operator imports the verdicts of human raters or of a judge
    PLANNED = "planned"  # no scorer yet: such a task is reported as unscored, never as zero


class AnswerKind(enum.StrEnum):
    """The form of one prediction; ``general_level.submission.schema`` holds a schema for each."""

    TEXT = "text"
    LABEL = "label"
    LABELS = "labels"
    NUMBER = "number"
    SERIES = "series"
    CODE = "code"
    RANKING = "ranking"
    BOXES = "boxes"
    MASKS = "masks"
    PANOPTIC = "panoptic"
    SCENE_GRAPH = "scene-graph"
    TUBES = "tubes"
    TRACKS = "tracks"
    FLOW = "flow"
    DEPTH = "depth"
    POSE = "pose"
    PIANO_ROLL = "piano-roll"
    POINT_LABELS = "point-labels"
    NORMALS = "normals"
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    POINT_CLOUD = "point-cloud"
    MESH = "mesh"
    MOTION = "motion"


class Scope(enum.StrEnum):
    """The four families of boards."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


@dataclass(frozen=True, slots=True)
class Metric:
    """One graded measure.

    ``unit`` is what a raw value is printed in; percentages are on 0..100. ``minimum`` and
    ``maximum`` bound a legal raw value (None: unbounded) and the ledger refuses anything outside.
    ``answer_kinds`` are the forms of answer that it can grade. ``evidence`` says why an unclear
    published label was read in this way, and is empty where the label is clear.
    """

    id: str
    name: str
    direction: Direction
    unit: str
    mapping: ScoreMapping
    scale: float | None
    minimum: float | None
    maximum: float | None
    grading: Grading
    version: int
    definition: str
    source: str
    answer_kinds: tuple[AnswerKind, ...] = ()
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Skill:
    """One of the 145 skills, for example ``I-C-1``; scope D has a board for each."""

    id: str
    name: str
    short_name: str
    modality: Modality
    paradigm: Paradigm


@dataclass(frozen=True, slots=True)
class Task:
    """One of the 699 tasks.

    ``folder`` is the task's folder name inside an archive and inside the benchmark's layout.
    ``workbook_row`` is the join to the published tables, with modality and paradigm.
    ``aliases`` are other names under which the sources know the task. ``options`` are parameters
    of the answer's schema or of the metric, for example ``{"k": "50"}``. ``published_labels`` are
    the metric's labels as the paper and the workbook print them, in this order.
    """

    id: str
    modality: Modality
    paradigm: Paradigm
    skill_id: str
    name: str
    short_name: str
    folder: str
    metric_id: str
    answer_kind: AnswerKind
    specialist: str
    workbook_row: int
    aliases: tuple[str, ...] = ()
    options: Mapping[str, str] | None = None
    published_labels: tuple[str, ...] = ()

    @property
    def archive_path(self) -> str:
        """The task's folder inside an archive: ``image/generation/<folder>``, ``nlp/<folder>``."""
        if self.modality is Modality.LANGUAGE:
            return f"{LANGUAGE_FOLDER}/{self.folder}"
        return f"{self.modality.value}/{self.paradigm.value}/{self.folder}"


@dataclass(frozen=True, slots=True)
class Reference:
    """The raw score of the best single-task specialist, in the metric's unit.

    ``printed`` is the figure as the source prints it, where that has another scale or precision.
    """

    task_id: str
    score: float
    source: str
    date: str
    printed: str = ""


@dataclass(frozen=True, slots=True)
class ReferenceList:
    """One version of all references: exactly one per task."""

    id: str
    title: str
    date: str
    references: Mapping[str, Reference]


@dataclass(frozen=True, slots=True)
class Board:
    """One leaderboard. ``highest_level`` is the top level that this board can award."""

    id: str
    name: str
    scope: Scope
    task_ids: tuple[str, ...]
    modalities: tuple[Modality, ...]
    paradigm: Paradigm
    skill_id: str | None
    highest_level: int


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Who contributed what to the benchmark. ``of`` are ids of tasks and skills; empty: all of it.

    ``link`` is an https address, or empty.
    """

    who: str
    what: str
    of: tuple[str, ...]
    link: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """One consistent version of the benchmark. Order of every mapping is the file's order.

    ``follows`` names the shipped catalogue that this one is the next version of, if there is one.
    """

    id: str
    title: str
    date: str
    metrics: Mapping[str, Metric]
    skills: Mapping[str, Skill]
    tasks: Mapping[str, Task]
    boards: Mapping[str, Board]
    reference_lists: Mapping[str, ReferenceList]
    default_reference_list: str
    acknowledgements: tuple[Acknowledgement, ...] = ()
    follows: str = ""

    def references(self, list_id: str | None = None) -> ReferenceList:
        """The named reference list, or the default one; KeyError for an unknown id."""
        return self.reference_lists[list_id or self.default_reference_list]

    def with_planned(self, metric_ids: Collection[str]) -> Catalogue:
        """The same where these metrics are planned, so that their tasks are unscored.

        KeyError for an unknown metric.
        """
        planned = {
            metric_id: replace(self.metrics[metric_id], grading=Grading.PLANNED)
            for metric_id in metric_ids
        }
        return replace(self, metrics=MappingProxyType({**self.metrics, **planned}))

    def metric_of(self, task_id: str) -> Metric:
        """The metric that grades a task; KeyError for an unknown task."""
        return self.metrics[self.tasks[task_id].metric_id]
