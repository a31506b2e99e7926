"""The catalogue as the messages of the contract, for every server that answers with it."""

from __future__ import annotations

from general_level.catalogue.model import Board, Catalogue
from general_level.v1 import catalogue_pb2 as pb


def catalogue_message(catalogue: Catalogue) -> pb.GetCatalogueResponse:
    """All tasks with the references of the default list."""
    references = catalogue.references()
    return pb.GetCatalogueResponse(
        catalogue_id=catalogue.id,
        reference_list_id=references.id,
        tasks=[
            pb.Task(
                task_id=task.id,
                name=task.name,
                modality=task.modality,
                paradigm=task.paradigm,
                skill_id=task.skill_id,
                metric_id=task.metric_id,
                answer_kind=task.answer_kind,
                archive_folder=task.archive_path,
                reference_score=references.references[task.id].score,
                grading=catalogue.metric_of(task.id).grading,
            )
            for task in catalogue.tasks.values()
        ],
    )


def board_message(board: Board, inputs_bytes: int) -> pb.Board:
    """One board; ``inputs_bytes`` is 0 where its inputs cannot be downloaded."""
    return pb.Board(
        board_id=board.id,
        name=board.name,
        scope=board.scope,
        modalities=[modality.value for modality in board.modalities],
        task_count=len(board.task_ids),
        highest_level=board.highest_level,
        inputs_bytes=inputs_bytes,
    )
