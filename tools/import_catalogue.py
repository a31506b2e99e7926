"""Turn the published facts into the catalogue's tables: tasks, skills, reference lists.

    python tools/import_catalogue.py FACTS [OUT]

FACTS is a folder with ``tasks.csv``: one row per task with the columns that ``Fact`` reads, taken
from the paper (arXiv 2505.04620) and the scorer's workbook. OUT is the catalogue's folder, by
default the one in this repository. Metrics, boards and ``catalogue.toml`` are written by hand.

It was run once. Ids and folders are frozen since: a new version of the catalogue is edited as
data, and running this again must change nothing (``git diff`` says).
"""

from __future__ import annotations

import csv
import re
import sys
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEFAULT_OUT = HERE.parent / "general_level/catalogue/data/general-bench"

PAPER = ("paper, arXiv 2505.04620", "2025-05")
WORKBOOK = ("published scorer's workbook, references/sota_result.xlsx", "2024-12")

MODALITIES = {"Image": "image", "Video": "video", "Audio": "audio", "3D": "3d", "NLP": "language"}
PARADIGMS = {"Comprehension": "comprehension", "Generation": "generation", "NLP": "none"}
GROUPS = [
    f"{m}/{p}" for m in ("image", "video", "audio", "3d") for p in list(PARADIGMS.values())[:2]
]
GROUPS.append("language/none")

#: Slips of the pen in the paper's names. The published spelling stays as an alias.
CORRECTED = {
    "Imge Editing Instruction Generation": "Image Editing Instruction Generation",
    "Toothbrush-Anomaly Detection": "Toothbrush Anomaly Detection",
    "Lung segmentation": "Lung Segmentation",
    "rock-paper-scissors-gesturedetection": "Rock-Paper-Scissors Gesture Detection",
    "football player detection": "Football Player Detection",
    "Underwater garbage Detection": "Underwater Garbage Detection",
    "Long-text-based Image generation": "Long-text-based Image Generation",
    "Sythetic Video Depth Estimation": "Synthetic Video Depth Estimation",
    "Multimodal SarcaS-measure Detection": "Multimodal Sarcasm Detection",
    "Background-Consistency Text to Video Geneation": (
        "Background-Consistency Text to Video Generation"
    ),
    "Long Video Object Tracking in Crowd Sense": "Long Video Object Tracking in Crowd Scene",
    "Video Object Tracking in Crowd Sense": "Video Object Tracking in Crowd Scene",
    "English-to-Mogolian Speech Translation": "English-to-Mongolian Speech Translation",
    "Genetic Association Datebase": "Genetic Association Database",
    "Image Denosing": "Image Denoising",
    "Imge-to-Mask Generation": "Image-to-Mask Generation",
    "Cross-lingual/ Translation": "Cross-Lingual Translation",
}

#: Figures whose source prints another unit than the metric's: (group, row) -> printed -> ours.
RESCALED = {("3d/comprehension", 13): {"55.00": "0.55"}}


@dataclass(frozen=True)
class Fact:
    """One row of the facts, with modality and paradigm in our words."""

    group: str
    row: int
    skill: str
    name: str
    short_name: str
    other_name: str
    label_paper: str
    label_workbook: str
    specialist: str
    reference_paper: str
    reference_workbook: str
    skill_name: str
    skill_short_name: str

    @property
    def task_id(self) -> str:
        """``image-c-001``, ``language-001``: the number is the workbook's row."""
        modality, paradigm = self.group.split("/")
        middle = "" if paradigm == "none" else f"{paradigm[0]}-"
        return f"{modality}-{middle}{self.row:03d}"


@dataclass(frozen=True)
class Grade:
    """How a task is graded."""

    metric: str
    kind: str
    options: str = ""


# The workbook's label decides where both sources differ (29 tasks): its values fit it, and only
# Mall counting (MAE, by the table's arrow) has another mapping under the paper's label.
BY_LABEL: dict[str, dict[str, Grade]] = {
    "image/comprehension": {
        "BLEU-1": Grade("bleu-1", "text"),
        "mIoU": Grade("miou", "masks"),
        "AP50": Grade("ap50", "boxes"),
        "AP75": Grade("ap75", "boxes"),
        "AP10": Grade("grounding-accuracy", "boxes", "iou=0.5"),
        "AP": Grade("pixel-ap", "image"),
        "Rouge-L f": Grade("rouge-l", "text"),
        "ROUGE-L": Grade("rouge-l", "text"),
        "RMS": Grade("depth-rms", "depth"),
        "ANLS": Grade("anls", "text"),
        "MAE": Grade("mae", "number"),
        "DICE": Grade("dice", "masks"),
        "SAD": Grade("matting-sad", "image"),
        "MSE": Grade("matting-mse", "image"),
        "F1 Score": Grade("micro-f1", "labels", "separator=<p>"),
        "PQ": Grade("pq", "panoptic"),
        "R@50": Grade("recall-at-k", "ranking", "k=50"),
    },
    "image/generation": {
        "FID": Grade("fid", "image"),
        "Acc": Grade("classified-image-accuracy", "image", "ways=50"),
        "PSNR": Grade("psnr", "image"),
        "RMSE": Grade("shadow-rmse", "image"),
        "MS-SSIM": Grade("ms-ssim", "image"),
        "AUC": Grade("map-roc-auc", "image"),
        "CLIP score": Grade("clip-score", "image"),
        "CLIP img score": Grade("clip-image-score", "image"),
    },
    "video/comprehension": {
        "BLEU-1": Grade("bleu-1-corpus", "text"),
        "Acc": Grade("contains-accuracy", "text"),
        "ACC": Grade("exact-match", "text"),
        "Structure measure": Grade("s-measure", "masks"),
        "mIoU": Grade("video-miou", "masks"),
        "m_vIoU": Grade("tube-viou", "tubes"),
        "absRel": Grade("abs-rel", "depth"),
        "AUC": Grade("success-auc", "tracks"),
        "EPE": Grade("epe", "flow"),
        "F-score": Grade("weighted-f1", "label"),
        "CIDEr": Grade("cider", "text"),
        "Macro-Acc": Grade("macro-accuracy", "label"),
    },
    "video/generation": {
        "DINOScore": Grade("dino-score", "video"),
        "L1 distance": Grade("l1-distance", "video"),
        "Optical Flow Score": Grade("optical-flow-score", "video"),
        "Aesthetic score": Grade("aesthetic-score", "video"),
        "MUSIQ score": Grade("musiq", "video"),
        "MUSIQ": Grade("musiq", "video"),
        "Single-Object Successful Rate": Grade("single-object-success", "video"),
        "Multi-Object Successful Rate": Grade("multi-object-success", "video"),
        "CLIP-Style": Grade("clip-style", "video"),
        "FVD": Grade("fvd", "video"),
        "DINO+ViCLIP+Optical flow+Motion Smooth": Grade("i2v-quality", "video"),
        "PSNR": Grade("video-psnr", "video"),
        "Fram-Acc": Grade("frame-accuracy", "video"),
        "User preference rates": Grade("user-preference", "video"),
    },
    "audio/comprehension": {
        "ACC": Grade("accuracy", "label"),
        "F1": Grade("token-f1", "text"),
        "BLUE_1": Grade("bleu-1", "text"),
        "GPT-Score": Grade("gpt-score", "text"),
    },
    "audio/generation": {
        "CLAP": Grade("clap-score", "audio"),
        "MOS": Grade("mos", "audio"),
        "MCD": Grade("mcd", "audio"),
        "WER": Grade("wer-speech", "audio"),
        "CIDEr": Grade("cider-speech", "audio"),
        "FAD": Grade("fad", "audio"),
        "E-Acc": Grade("event-accuracy", "piano-roll"),
        "PCC": Grade("pitch-class-consistency", "piano-roll"),
        "Style-CLAP": Grade("style-clap", "audio"),
    },
    "3d/comprehension": {
        "Acc": Grade("accuracy", "label"),
        "mIoU": Grade("miou-points", "point-labels"),
        "mAP@50": Grade("ap50-points", "point-labels"),
        "RTE ( Relative Translation Error)": Grade("rte", "pose", "form=trajectory"),
        "Instance mIoU": Grade("instance-miou", "point-labels"),
        "AMOTA (Average Multi-Object Tracking Accuracy)": Grade("amota", "tracks", "form=boxes-3d"),
        "RMSE": Grade("normal-rmse", "normals"),
        "mAP": Grade("map-3d", "boxes", "form=boxes-3d"),
        "BLEU@4": Grade("bleu-4-corpus", "text"),
        "EM@1": Grade("exact-match", "text"),
    },
    "3d/generation": {
        "FID": Grade("motion-fid", "motion"),
    },
    "language/none": {
        "ACC": Grade("exact-match", "text"),
        "BLEU-1": Grade("bleu-1", "text"),
        "F1": Grade("token-f1", "text"),
        "Micro-F1": Grade("micro-f1", "labels", "separator=<p>"),
        "CodeBLEU": Grade("codebleu", "code", "language=python"),
        "ROUGE-1": Grade("rouge-1", "text"),
        "RMSE": Grade("rmse", "series"),
    },
}

#: Single tasks that their label alone does not decide: (group, row) -> grade.
BY_ROW: dict[tuple[str, int], Grade] = {
    ("image/comprehension", 46): Grade("bleu-1", "text", "tokens=characters"),  # Chinese captions
    ("image/comprehension", 49): Grade("ap50-masks", "masks"),
    ("image/comprehension", 50): Grade("ap50-masks", "masks"),
    ("image/comprehension", 132): Grade("ap50-keypoints", "pose", "form=keypoints"),
    ("image/comprehension", 256): Grade("scene-graph-recall", "scene-graph", "k=50"),
    ("image/comprehension", 259): Grade("weighted-f1", "label"),
    ("video/generation", 2): Grade("background-consistency", "video"),
    ("video/generation", 11): Grade("spatial-relation-success", "video"),
    ("video/generation", 12): Grade("camera-motion-success", "video"),
    ("video/generation", 14): Grade("appearance-style", "video"),
    ("video/generation", 15): Grade("color-success", "video"),
    ("video/generation", 16): Grade("material-success", "video"),
    ("video/generation", 17): Grade("action-success", "video"),
    ("audio/comprehension", 19): Grade("exact-match", "text"),
    ("audio/generation", 13): Grade("wer-speech", "audio", "tokens=characters"),  # Chinese
    ("audio/generation", 14): Grade("wer-speech", "audio", "tokens=characters"),  # Mongolian
    ("language/none", 50): Grade("rouge-1", "text", "tokens=characters"),  # into Chinese
}

#: Image skills whose answers are open: their Acc is exact match of text. In the others the answer
#: is one of a closed set of labels.
ANSWERING_SKILLS = {"I-C-6", "I-C-17", "I-C-21", "I-C-22", "I-C-23", "I-C-25"}

#: 3D generation skills by the form that they make.
POINT_CLOUD_SKILLS = {"D-G-1", "D-G-3", "D-G-5", "D-G-7"}
FROM_TEXT_SKILLS = {"D-G-3", "D-G-4"}


def grade(fact: Fact) -> Grade:
    """The metric and the form of answer of a task; KeyError for a label that nobody decided."""
    if (fact.group, fact.row) in BY_ROW:
        return BY_ROW[fact.group, fact.row]
    if fact.group == "image/comprehension" and fact.label_workbook in {"Acc", "ACC"}:
        answering = fact.skill in ANSWERING_SKILLS
        return Grade("exact-match", "text") if answering else Grade("accuracy", "label")
    if fact.group == "3d/generation" and fact.label_workbook != "FID":
        kind = "point-cloud" if fact.skill in POINT_CLOUD_SKILLS else "mesh"
        if fact.label_workbook == "CLIP score":
            source = "text" if fact.skill in FROM_TEXT_SKILLS else "image"
            return Grade(f"render-clip-{source}", kind)
        return Grade("chamfer-distance", kind)
    return BY_LABEL[fact.group][fact.label_workbook]


def folder(name: str) -> str:
    """A folder name safe everywhere: ASCII letters, digits, single spaces, hyphens inside.

    Accents and quotation marks go, anything else between words becomes one space.
    """
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    unquoted = re.sub(r"[\"'`]", "", ascii_name)
    return re.sub(r"[^A-Za-z0-9-]+", " ", unquoted).strip(" -")


def read(path: Path) -> list[Fact]:
    """The facts in the catalogue's order: by modality, paradigm, workbook row."""
    with path.open(encoding="utf-8", newline="") as file:
        facts = [
            Fact(
                group=f"{MODALITIES[row['modality']]}/{PARADIGMS[row['paradigm']]}",
                row=int(row["workbook_row"]),
                skill=row["skill"],
                name=row["task_name"],
                short_name=row["task_short_name"] or row["task_name"],
                other_name=row["workbook_task_name"],
                label_paper=row["metric_paper"],
                label_workbook=row["metric_workbook"],
                specialist=row["specialist"],
                reference_paper=row["reference_paper"],
                reference_workbook=row["reference_workbook"],
                skill_name=row["skill_name"],
                skill_short_name=row["skill_short_name"],
            )
            for row in csv.DictReader(file)
        ]
    return sorted(facts, key=lambda fact: (GROUPS.index(fact.group), fact.row))


def aliases(fact: Fact, name: str) -> str:
    """The source's other spellings, ours and editors' remarks in brackets left out."""
    other = re.sub(r"\s*\((category level|text_manip|数据).*\)$", "", fact.other_name)
    known = {name.casefold(), fact.short_name.casefold()}
    found = []
    for alias in (fact.name, other.replace("（", "(").replace("）", ")")):
        if alias.casefold() not in known:
            known.add(alias.casefold())
            found.append(alias)
    return "|".join(found)


def tasks(facts: Iterable[Fact]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for fact in facts:
        name, graded = CORRECTED.get(fact.name, fact.name), grade(fact)
        modality, paradigm = fact.group.split("/")
        rows.append(
            {
                "id": fact.task_id,
                "modality": modality,
                "paradigm": paradigm,
                "skill": fact.skill,
                "name": name,
                "short_name": fact.short_name.replace("SarcaS-measure", "Sarcasm"),
                "folder": folder(name),
                "metric": graded.metric,
                "answer_kind": graded.kind,
                "options": graded.options,
                "specialist": fact.specialist,
                "workbook_row": fact.row,
                "label_paper": fact.label_paper,
                "label_workbook": fact.label_workbook,
                "aliases": aliases(fact, name),
            }
        )
    return rows


def skills(facts: Iterable[Fact]) -> list[dict[str, object]]:
    rows: dict[str, dict[str, object]] = {}
    for fact in facts:
        modality, paradigm = fact.group.split("/")
        rows[fact.skill] = {
            "id": fact.skill,
            "name": CORRECTED.get(fact.skill_name, fact.skill_name),
            "short_name": fact.skill_short_name.replace("Denose", "Denoise"),
            "modality": modality,
            "paradigm": paradigm,
        }

    def place(row: dict[str, object]) -> tuple[int, int]:
        number = int(str(row["id"]).rsplit("-", 1)[1])
        return GROUPS.index(f"{row['modality']}/{row['paradigm']}"), number

    return sorted(rows.values(), key=place)


def references(
    facts: Iterable[Fact], column: str, origin: tuple[str, str]
) -> list[dict[str, object]]:
    source, date = origin
    rows: list[dict[str, object]] = []
    for fact in facts:
        printed = str(getattr(fact, column))
        score = RESCALED.get((fact.group, fact.row), {}).get(printed, printed)
        rows.append(
            {
                "task": fact.task_id,
                "score": score,
                "printed": printed,
                "source": source,
                "date": date,
            }
        )
    return rows


def write(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def main(facts_folder: Path, out: Path = DEFAULT_OUT) -> None:
    facts = read(facts_folder / "tasks.csv")
    write(out / "tasks.csv", tasks(facts))
    write(out / "skills.csv", skills(facts))
    write(out / "references/paper.csv", references(facts, "reference_paper", PAPER))
    write(out / "references/workbook.csv", references(facts, "reference_workbook", WORKBOOK))


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:3]))
