"""The benchmark as data: tasks, skills, metrics, boards and reference scores.

from general_level import catalogue

bench = catalogue.load()
for task_id in bench.boards["C-audio-comprehension"].task_ids:
    task, metric = bench.tasks[task_id], bench.metric_of(task_id)
    reference = bench.references().references[task_id].score
    print(task.name, metric.name, reference, catalogue.to_score(metric, reference))
"""

from general_level.catalogue.loader import load, read
from general_level.catalogue.mapping import is_legal, reaches, to_score
from general_level.catalogue.model import (
    LANGUAGE_FOLDER,
    NON_LANGUAGE,
    Acknowledgement,
    AnswerKind,
    Board,
    Catalogue,
    Direction,
    Grading,
    Metric,
    Modality,
    Paradigm,
    Reference,
    ReferenceList,
    Scope,
    ScoreMapping,
    Skill,
    Task,
)

__all__ = [
    "LANGUAGE_FOLDER",
    "NON_LANGUAGE",
    "Acknowledgement",
    "AnswerKind",
    "Board",
    "Catalogue",
    "Direction",
    "Grading",
    "Metric",
    "Modality",
    "Paradigm",
    "Reference",
    "ReferenceList",
    "Scope",
    "ScoreMapping",
    "Skill",
    "Task",
    "is_legal",
    "load",
    "reaches",
    "read",
    "to_score",
]
