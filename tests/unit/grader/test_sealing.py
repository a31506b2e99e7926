"""Sealing a benchmark folder: everything is in the bundle or in the report."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from general_level.catalogue import Catalogue, Modality, load
from general_level.receipts import load_commitments
from services.grader.decode.formats.warm_up import picture
from services.grader.identities import Identity
from services.grader.keys import AnswerKey, KeyBundle
from services.grader.sealing import SealingRefused, SealReport, Trouble, seal

IDENTITY = Identity.generate()
RECIPIENTS = {modality: [IDENTITY.recipient] for modality in Modality}

SPORTS = "image/comprehension/Sports Image Classification"  # label
ENTITIES = "image/comprehension/Multimodal Named Entity Recognition"  # labels
CROWD = "image/comprehension/Crowd Counting"  # number
SPATIAL = "image/comprehension/Classification of Visual Spatial Relationship"  # ranking
EDGES = "image/generation/Edge-to-Image Generation"  # image
SERIES = "nlp/Time Series Prediction"  # series
CODE = "nlp/Code Generation"  # code
OBJECTS = "image/comprehension/Plant Disease Detection"  # boxes
TASK_IDS = {
    SPORTS: "image-c-003",
    ENTITIES: "image-c-240",
    CROWD: "image-c-159",
    SPATIAL: "image-c-244",
    OBJECTS: "image-c-007",
    EDGES: "image-g-001",
    SERIES: "language-061",
    CODE: "language-045",
}

#: A real picture, the answer of an item.
PICTURE = picture("RGB", "PNG")

Item = dict[str, Any]


def small_catalogue(*folders: str) -> Catalogue:
    """The real catalogue with these tasks only, and the boards of their modalities."""
    whole = load()
    ids = [TASK_IDS[folder] for folder in folders]
    tasks = {task_id: task for task_id, task in whole.tasks.items() if task_id in ids}
    boards = {
        board_id: dataclasses.replace(
            board, task_ids=tuple(task_id for task_id in board.task_ids if task_id in tasks)
        )
        for board_id, board in whole.boards.items()
        if board_id in ("A-full", "B-image", "B-audio")
    }
    return dataclasses.replace(whole, tasks=tasks, boards=boards)


class Benchmark:
    """A benchmark folder under construction."""

    def __init__(self, root: Path) -> None:
        self.root = root / "benchmark"
        self.root.mkdir()
        self.out = root / "sealed"

    def task(self, folder: str, *items: Item, task: str = "", **more: object) -> Benchmark:
        annotation = {"task": task, "type": "comprehension", "data": list(items), **more}
        return self.file(f"{folder}/annotation.json", json.dumps(annotation).encode())

    def file(self, path: str, content: bytes = b"content") -> Benchmark:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return self

    def seal(self, *folders: str, **options: Any) -> SealReport:
        catalogue = small_catalogue(*folders)
        return seal(self.root, self.out, catalogue=catalogue, recipients=RECIPIENTS, **options)

    def troubles(self, *folders: str) -> Counter[Trouble]:
        report = self.seal(*folders)
        assert not report.written
        assert not self.out.exists()
        return Counter(problem.trouble for problem in report.problems)

    def key(self, folder: str, file: str = "image.keys") -> AnswerKey:
        return KeyBundle.open(self.out / "keys" / file, IDENTITY).read(TASK_IDS[folder])

    def inputs(self, board_id: str) -> dict[str, bytes]:
        with zipfile.ZipFile(self.out / "public" / "boards" / f"{board_id}.zip") as bundle:
            return {name: bundle.read(name) for name in bundle.namelist()}


@pytest.fixture
def benchmark_folder(tmp_path: Path) -> Benchmark:
    return Benchmark(tmp_path)


def item(number: int, output: object, value: object = "What is it?") -> Item:
    return {"id": str(number), "input": value, "output": output}


class TestResult:
    def test_the_whole_layout(self, benchmark_folder: Benchmark) -> None:
        bench = benchmark_folder
        bench.file(f"{SPORTS}/images/1.jpg", b"first").file(f"{SPORTS}/images/2.jpg", b"second")
        bench.task(
            SPORTS,
            {"id": 1, "input": {"image": "images/1.jpg", "question": "Which?"}, "output": "rowing"},
            {"id": "b", "input": ["./images/2.jpg", "Which?"], "output": ["polo", "water polo"]},
        )
        bench.task(CODE, item(1, "print(1)"))
        report = bench.seal(SPORTS, CODE)
        assert report.complete
        assert report.written
        assert (report.items_seen, report.items_sealed) == (3, 3)

        found = {p.relative_to(bench.out).as_posix() for p in bench.out.rglob("*") if p.is_file()}
        assert found == {
            "public/boards/A-full.zip",
            "public/boards/B-image.zip",  # and none for B-audio, which has no item
            "public/ids.json",
            "public/commitments.json",
            "keys/image.keys",
            "keys/language.keys",
            "report.json",
        }
        public = bench.out / "public"
        assert json.loads((public / "ids.json").read_bytes()) == {
            "image-c-003": ["1", "b"],
            "language-045": ["1"],
        }
        inputs = bench.inputs("B-image")
        assert set(inputs) == {
            "board.json",
            f"{SPORTS}/inputs.json",
            f"{SPORTS}/images/1.jpg",
            f"{SPORTS}/images/2.jpg",
        }
        assert inputs[f"{SPORTS}/images/2.jpg"] == b"second"
        assert json.loads(inputs[f"{SPORTS}/inputs.json"]) == {
            "task": "Sports Image Classification",
            "type": "comprehension",
            "data": [
                {"id": "1", "input": {"image": "images/1.jpg", "question": "Which?"}},
                {"id": "b", "input": ["./images/2.jpg", "Which?"]},
            ],
        }
        assert json.loads(inputs["board.json"])["tasks"] == ["image-c-003"]
        assert f"{CODE}/inputs.json" in bench.inputs("A-full")

        key = bench.key(SPORTS)
        assert key.ids == ("1", "b")
        assert key.references == (["rowing"], ["polo", "water polo"])
        commitments = load_commitments((public / "commitments.json").read_bytes())
        assert [(c.task_id, c.item_count, c.modality) for c in commitments] == [
            ("image-c-003", 2, "image"),
            ("language-045", 1, "language"),
        ]
        assert commitments[0].commitment == key.commitment
        assert json.loads((bench.out / "report.json").read_bytes())["problems"] == []

    def test_only_its_owner_reads_the_keys(self, benchmark_folder: Benchmark) -> None:
        benchmark_folder.task(SPORTS, item(1, "rowing")).seal(SPORTS)
        keys = benchmark_folder.out / "keys"
        assert keys.stat().st_mode & 0o777 == 0o700
        assert (keys / "image.keys").stat().st_mode & 0o777 == 0o600

    def test_answer_files_are_sealed_and_not_published(self, benchmark_folder: Benchmark) -> None:
        bench = benchmark_folder
        bench.file(f"{EDGES}/in/1.png", b"edges").file(f"{EDGES}/out/1.png", PICTURE)
        bench.task(EDGES, item(1, "out/1.png", {"image": "in/1.png"}))
        assert bench.seal(EDGES).complete
        key = bench.key(EDGES)
        assert key.references == (["out/1.png"],)
        assert dict(key.media) == {"out/1.png": PICTURE}
        for path in bench.out.rglob("*.zip"):
            with zipfile.ZipFile(path) as bundle:
                assert f"{EDGES}/out/1.png" not in bundle.namelist()
                assert PICTURE not in b"".join(map(bundle.read, bundle.namelist()))

    def test_public_bundles_are_reproducible(self, benchmark_folder: Benchmark) -> None:
        bench = benchmark_folder
        bench.file(f"{SPORTS}/1.jpg").task(SPORTS, item(1, "rowing", "1.jpg"))
        bench.seal(SPORTS)
        first = bench.out.rename(bench.out.with_name("first"))
        bench.seal(SPORTS)
        for name in ("public/boards/B-image.zip", "public/ids.json"):
            assert (first / name).read_bytes() == (bench.out / name).read_bytes()
        # The salt is new, so equal answers do not show.
        name = "public/commitments.json"
        assert (first / name).read_bytes() != (bench.out / name).read_bytes()

    def test_chosen_boards(self, benchmark_folder: Benchmark) -> None:
        benchmark_folder.task(SPORTS, item(1, "rowing")).seal(SPORTS, board_ids=["B-image"])
        boards = benchmark_folder.out / "public" / "boards"
        assert [path.name for path in boards.iterdir()] == ["B-image.zip"]

    def test_each_modality_may_have_its_own_recipient(self, benchmark_folder: Benchmark) -> None:
        bench = benchmark_folder.task(SPORTS, item(1, "rowing")).task(CODE, item(1, "print(1)"))
        language = Identity.generate()
        seal(
            bench.root,
            bench.out,
            catalogue=small_catalogue(SPORTS, CODE),
            recipients={**RECIPIENTS, Modality.LANGUAGE: [language.recipient]},
        )
        assert bench.key(SPORTS).ids == ("1",)
        path = bench.out / "keys" / "language.keys"
        assert KeyBundle.open(path, language).read("language-045").ids == ("1",)

    def test_golden_commitment(self, benchmark_folder: Benchmark) -> None:
        bench = benchmark_folder.task(SPORTS, item(1, "rowing"))
        bench.seal(SPORTS, random=bytes)
        canonical = (
            b'{"catalogue_id":"%s","items":[{"id":"1","references":["rowing"]}],'
            b'"key_version":"1","task_id":"image-c-003"}' % load().id.encode()
        )
        assert bench.key(SPORTS).commitment == hashlib.sha256(bytes(32) + canonical).hexdigest()


class TestAnswers:
    @pytest.mark.parametrize(
        ("folder", "output", "references"),
        [
            (SPORTS, "rowing", ["rowing"]),
            (SPORTS, 7, ["7"]),
            (SPORTS, 2.5, ["2.5"]),
            (SPORTS, ["rowing", 7], ["rowing", "7"]),
            (SPORTS, {"references": ["rowing"]}, ["rowing"]),
            (ENTITIES, "Paris<p>New York, NY", [["Paris", "New York, NY"]]),
            (ENTITIES, "Paris, London", [["Paris", "London"]]),
            (ENTITIES, ["Paris", "London"], [["Paris", "London"]]),
            (ENTITIES, [["Paris"], ["Paname"]], [["Paris"], ["Paname"]]),
            (ENTITIES, "", [[]]),
            (ENTITIES, [], [[]]),
            (
                ENTITIES,
                {"references": ["Paris<p>London", ["Paname"]]},
                [["Paris", "London"], ["Paname"]],
            ),
            (CROWD, 3, [3.0]),
            (CROWD, " 3.5 ", [3.5]),
            (CROWD, {"references": [3, 4]}, [3.0, 4.0]),
            (SPATIAL, ["on", "above"], ["on", "above"]),
            (SPATIAL, "on", ["on"]),
            (EDGES, "1.png", ["1.png"]),
            (EDGES, {"references": ["1.png", "2.png"]}, ["1.png", "2.png"]),
        ],
    )
    def test_forms(
        self, benchmark_folder: Benchmark, folder: str, output: object, references: list[object]
    ) -> None:
        if folder == EDGES:
            for name in references:
                benchmark_folder.file(f"{EDGES}/{name}", PICTURE)
        report = benchmark_folder.task(folder, item(1, output)).seal(folder)
        assert report.complete
        assert benchmark_folder.key(folder).references == (references,)

    def test_series(self, benchmark_folder: Benchmark) -> None:
        bench = benchmark_folder.task(SERIES, item(1, [1, 2.5]), item(2, [[1], [2]]))
        assert bench.seal(SERIES).complete
        references = bench.key(SERIES, "language.keys").references
        assert references == ([[1.0, 2.5]], [[1.0], [2.0]])
        assert all(isinstance(number, float) for number in references[0][0])

    @pytest.mark.parametrize(
        ("folder", "output", "trouble"),
        [
            (SPORTS, None, Trouble.NO_OUTPUT),
            (SPORTS, "", Trouble.NO_OUTPUT),
            (SPORTS, " \n", Trouble.NO_OUTPUT),
            (SPORTS, [], Trouble.NO_OUTPUT),
            (SPORTS, ["rowing", ""], Trouble.NO_OUTPUT),
            (SPORTS, {"references": []}, Trouble.NO_OUTPUT),
            (SPORTS, {"references": "rowing"}, Trouble.WRONG_OUTPUT_TYPE),
            (SPORTS, {"label": "rowing"}, Trouble.WRONG_OUTPUT_TYPE),
            (SPORTS, True, Trouble.WRONG_OUTPUT_TYPE),
            (SPORTS, "\ud800", Trouble.WRONG_OUTPUT_TYPE),
            (ENTITIES, 7, Trouble.WRONG_OUTPUT_TYPE),
            (CROWD, "many", Trouble.WRONG_OUTPUT_TYPE),
            (CROWD, "nan", Trouble.WRONG_OUTPUT_TYPE),
            (CROWD, [3, 4], Trouble.WRONG_OUTPUT_TYPE),
            (CROWD, False, Trouble.WRONG_OUTPUT_TYPE),
            (CROWD, 10**400, Trouble.WRONG_OUTPUT_TYPE),
            (SERIES, "1, 2", Trouble.WRONG_OUTPUT_TYPE),
            (SERIES, [1, "x"], Trouble.WRONG_OUTPUT_TYPE),
            (SERIES, [], Trouble.NO_OUTPUT),
            (EDGES, None, Trouble.NO_OUTPUT),
            (EDGES, [2**60], Trouble.WRONG_OUTPUT_TYPE),
            (EDGES, {"boxes": [1, 2]}, Trouble.WRONG_OUTPUT_TYPE),
            (EDGES, "no picture.png", Trouble.WRONG_OUTPUT_TYPE),
            (EDGES, "out/absent.png", Trouble.MISSING_ANSWER_FILE),
            (EDGES, "../../../etc/secret.png", Trouble.UNSAFE_PATH),
        ],
    )
    def test_refused(
        self, benchmark_folder: Benchmark, folder: str, output: object, trouble: Trouble
    ) -> None:
        good = [1] if folder == SERIES else "1.png" if folder == EDGES else "1"
        if folder == EDGES:
            benchmark_folder.file(f"{EDGES}/1.png", PICTURE)
            benchmark_folder.file(f"{EDGES}/no picture.png", b"text")
        bench = benchmark_folder.task(folder, item(1, good), item(2, output))
        report = bench.seal(folder, allow_unmatched=True)
        kept_out = [problem for problem in report.problems if problem.items]
        assert [(p.trouble, p.item_id, p.items) for p in kept_out] == [(trouble, "2", 1)]
        assert (report.items_seen, report.items_sealed) == (2, 1)
        ids = json.loads((bench.out / "public" / "ids.json").read_bytes())
        assert ids == {TASK_IDS[folder]: ["1"]}


class TestMatching:
    @pytest.mark.parametrize(
        ("folder", "task"),
        [
            ("Image/COMPREHENSION/sports  image_classification", ""),
            ("image/comprehension/Sports-Image-Classification", ""),
            ("image/comprehension/task 17", "Sports Image Classification"),
            ("image/comprehension/task 17", "Sports Image Cls"),
            (SPORTS, "an unknown name"),
        ],
    )
    def test_names(self, benchmark_folder: Benchmark, folder: str, task: str) -> None:
        report = benchmark_folder.task(folder, item(1, "rowing"), task=task).seal(SPORTS)
        assert report.complete
        assert [sealed.task_id for sealed in report.tasks] == ["image-c-003"]
        assert f"{SPORTS}/inputs.json" in benchmark_folder.inputs("B-image")

    @pytest.mark.parametrize(
        "folder",
        [
            "image/comprehension/Sports",
            "image/generation/Sports Image Classification",
            "video/comprehension/Sports Image Classification",
            "nlp/Sports Image Classification",
        ],
    )
    def test_unknown_folders(self, benchmark_folder: Benchmark, folder: str) -> None:
        report = benchmark_folder.task(folder, item(1, "x"), item(2, "y")).seal(SPORTS)
        assert [(p.trouble, p.folder, p.task_id, p.items) for p in report.problems] == [
            (Trouble.UNKNOWN_FOLDER, folder, "", 2),
            (Trouble.TASK_WITHOUT_DATA, "", "image-c-003", 0),
        ]
        assert (report.items_seen, report.items_sealed) == (2, 0)

    def test_a_folder_and_a_name_that_contradict(self, benchmark_folder: Benchmark) -> None:
        bench = benchmark_folder.task(SPORTS, item(1, "x"), task="Crowd Counting")
        assert bench.troubles(SPORTS, CROWD)[Trouble.CONTRADICTING_NAMES] == 1

    def test_two_folders_of_one_task(self, benchmark_folder: Benchmark) -> None:
        bench = benchmark_folder.task(SPORTS, item(1, "x"))
        bench.task("image/comprehension/sports image classification", item(1, "y"))
        assert bench.troubles(SPORTS) == {Trouble.TASK_TWICE: 1}

    def test_one_name_of_two_tasks(self, benchmark_folder: Benchmark) -> None:
        catalogue = small_catalogue(SPORTS, CROWD)
        tasks = {
            task_id: dataclasses.replace(task, aliases=("shared name",))
            for task_id, task in catalogue.tasks.items()
        }
        bench = benchmark_folder.task("image/comprehension/Shared Name", item(1, "x"))
        report = seal(
            bench.root,
            bench.out,
            catalogue=dataclasses.replace(catalogue, tasks=tasks),
            recipients=RECIPIENTS,
        )
        assert report.problems[0].trouble is Trouble.AMBIGUOUS_FOLDER

    def test_what_is_at_no_task_s_place(self, benchmark_folder: Benchmark) -> None:
        bench = benchmark_folder.task(SPORTS, item(1, "x"))
        bench.file("README.md").file("image/notes.txt").file("image/other/x").file("text/Task/x")
        bench.file("nlp/loose.json").file(f"{SPORTS}/left over.txt")
        report = bench.seal(SPORTS)
        places = {p.folder if not p.path else f"{p.folder}/{p.path}" for p in report.problems}
        assert {problem.trouble for problem in report.problems} == {Trouble.UNUSED_FILE}
        assert places == {
            "README.md",
            "image/notes.txt",
            "image/other",
            "nlp/loose.json",
            "text",
            f"{SPORTS}/left over.txt",
        }

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"[]",
            b'{"data": {}}',
            b'{"data": [], "data": []}',
            b'{"task": 1, "data": []}',
            b'{"data": [NaN]}',
            b"\xff\xfe",
            b"[" * 100_000,
        ],
    )
    def test_unreadable_annotations(self, benchmark_folder: Benchmark, content: bytes) -> None:
        bench = benchmark_folder.file(f"{SPORTS}/annotation.json", content)
        troubles = bench.troubles(SPORTS)
        assert troubles == {Trouble.UNREADABLE_ANNOTATION: 1, Trouble.TASK_WITHOUT_DATA: 1}

    def test_a_byte_order_mark_is_no_trouble(self, benchmark_folder: Benchmark) -> None:
        content = json.dumps({"task": "", "type": "", "data": [item(1, "x")]}).encode()
        benchmark_folder.file(f"{SPORTS}/annotation.json", b"\xef\xbb\xbf" + content)
        assert benchmark_folder.seal(SPORTS).complete

    def test_a_folder_without_annotation(self, benchmark_folder: Benchmark) -> None:
        bench = benchmark_folder.file(f"{SPORTS}/1.jpg")
        assert bench.troubles(SPORTS)[Trouble.UNREADABLE_ANNOTATION] == 1


class TestItems:
    @pytest.mark.parametrize(
        ("bad", "trouble"),
        [
            ("text", Trouble.BAD_ITEM),
            ({"id": "2", "input": "\ud800", "output": "x"}, Trouble.BAD_ITEM),
            ({"input": "q", "output": "x"}, Trouble.BAD_ID),
            ({"id": True, "input": "q", "output": "x"}, Trouble.BAD_ID),
            ({"id": 1.5, "input": "q", "output": "x"}, Trouble.BAD_ID),
            ({"id": "", "input": "q", "output": "x"}, Trouble.BAD_ID),
            ({"id": "a\nb", "input": "q", "output": "x"}, Trouble.BAD_ID),
            ({"id": "i" * 257, "input": "q", "output": "x"}, Trouble.BAD_ID),
            ({"id": 1, "input": "q", "output": "x"}, Trouble.DUPLICATE_ID),
            ({"id": "2", "output": "x"}, Trouble.NO_INPUT),
            ({"id": "2", "input": "q"}, Trouble.NO_OUTPUT),
            ({"id": "2", "input": "absent.jpg", "output": "x"}, Trouble.MISSING_MEDIA),
            ({"id": "2", "input": {"v": ["clips/a.mp4"]}, "output": "x"}, Trouble.MISSING_MEDIA),
            ({"id": "2", "input": "../other/a.jpg", "output": "x"}, Trouble.UNSAFE_PATH),
            ({"id": "2", "input": "/etc/a.jpg", "output": "x"}, Trouble.UNSAFE_PATH),
            ({"id": "2", "input": "annotation.json", "output": "x"}, Trouble.UNSAFE_PATH),
            ({"id": "2", "input": "./x/../annotation.json", "output": "x"}, Trouble.UNSAFE_PATH),
        ],
    )
    def test_kept_out_and_reported(
        self, benchmark_folder: Benchmark, bad: object, trouble: Trouble
    ) -> None:
        bench = benchmark_folder.task(SPORTS, item(1, "rowing"), bad)  # type: ignore[arg-type]
        report = bench.seal(SPORTS, allow_unmatched=True)
        assert [(p.trouble, p.row, p.items) for p in report.problems] == [(trouble, 1, 1)]
        assert bench.key(SPORTS).references == (["rowing"],)

    def test_text_that_looks_a_little_like_a_path(self, benchmark_folder: Benchmark) -> None:
        texts = [
            "Which file is meant, and/or should it be main.png",
            "see https://example.com/a.png",
            "annotation",
            "..",
            ".",
            "x" * 5_000 + ".png",
            "first line\nsecond.png",
            "nul\0.png",
        ]
        items = [item(i, "x", text) for i, text in enumerate(texts)]
        assert benchmark_folder.task(SPORTS, *items).seal(SPORTS).complete

    def test_a_path_with_spaces(self, benchmark_folder: Benchmark) -> None:
        bench = benchmark_folder.file(f"{SPORTS}/my pictures/number 1.jpg")
        bench.task(
            SPORTS,
            item(1, "x", "my pictures/number 1.jpg"),
            item(2, "x", "my pictures/number 2.jpg"),
        )
        assert bench.troubles(SPORTS) == {Trouble.MISSING_MEDIA: 1}

    @pytest.mark.parametrize("kind", ["file", "folder"])
    def test_links_are_never_followed(self, benchmark_folder: Benchmark, kind: str) -> None:
        bench = benchmark_folder
        secret = bench.root.parent / "secret.jpg"
        secret.write_bytes(b"secret")
        (bench.root / SPORTS).mkdir(parents=True)
        if kind == "file":
            (bench.root / SPORTS / "a.jpg").symlink_to(secret)
            name = "a.jpg"
        else:
            (bench.root / SPORTS / "pictures").symlink_to(bench.root.parent)
            name = "pictures/secret.jpg"
        bench.task(SPORTS, item(1, "x"), item(2, "x", name))
        report = bench.seal(SPORTS, allow_unmatched=True)
        assert Trouble.UNSAFE_PATH in {problem.trouble for problem in report.problems}
        assert set(bench.inputs("B-image")) == {"board.json", f"{SPORTS}/inputs.json"}

    def test_a_key_that_gives_no_score_is_kept_out(self, benchmark_folder: Benchmark) -> None:
        # Each picture may be without an object, but not all of them.
        bench = benchmark_folder.task(OBJECTS, item(1, []), item(2, []))
        report = bench.seal(OBJECTS, allow_unmatched=True)
        found = [(problem.trouble, problem.items) for problem in report.problems]
        assert (Trouble.KEY_WITHOUT_SCORE, 2) in found
        assert (report.items_seen, report.items_sealed) == (2, 0)

    def test_some_items_of_a_key_may_hold_nothing(self, benchmark_folder: Benchmark) -> None:
        one = [{"box": [0, 0, 4, 4], "label": "mask"}]
        bench = benchmark_folder.task(OBJECTS, item(1, []), item(2, one))
        assert bench.seal(OBJECTS).complete

    def test_an_answer_file_that_is_an_input_is_reported(self, benchmark_folder: Benchmark) -> None:
        bench = benchmark_folder.file(f"{EDGES}/1.png", PICTURE)
        bench.task(EDGES, item(1, "1.png", "1.png"))
        assert bench.troubles(EDGES) == {Trouble.ANSWER_FILE_IS_INPUT: 1}

    def test_fields_that_labs_would_not_get(self, benchmark_folder: Benchmark) -> None:
        with_choices = {**item(1, "x"), "choices": ["x", "y"]}
        bench = benchmark_folder.task(SPORTS, with_choices, item(2, "y"), prompt="Say what you see")
        report = bench.seal(SPORTS)
        fields = [(p.trouble, p.path) for p in report.problems]
        assert fields == [
            (Trouble.UNKNOWN_FIELD, "prompt"),
            (Trouble.UNKNOWN_FIELD, "data[].choices"),
        ]

    def test_many_items_of_one_kind_are_one_row_of_the_table(
        self, benchmark_folder: Benchmark
    ) -> None:
        items = [item(number, None) for number in range(1_000)]
        table = benchmark_folder.task(SPORTS, *items).seal(SPORTS).table()
        assert len(table.splitlines()) < 10
        assert "no-output" in table
        assert "1000" in table
        assert "item 0, item 1, item 2" in table


class TestRefusals:
    def test_an_output_folder_that_is_there(self, benchmark_folder: Benchmark) -> None:
        bench = benchmark_folder.task(SPORTS, item(1, "x"))
        bench.out.mkdir()
        (bench.out / "precious").write_text("data")
        with pytest.raises(SealingRefused):
            bench.seal(SPORTS)
        assert [path.name for path in bench.out.iterdir()] == ["precious"]

    @pytest.mark.parametrize(
        "options",
        [
            {"board_ids": ["Z-unknown"]},
            {"key_version": " "},
            {"recipients": {}},
            {"recipients": {Modality.IMAGE: ["age1nonsense"]}},
        ],
    )
    def test_wrong_options(self, benchmark_folder: Benchmark, options: dict[str, Any]) -> None:
        bench = benchmark_folder.task(SPORTS, item(1, "x"))
        arguments = {"recipients": RECIPIENTS, **options}
        with pytest.raises(SealingRefused):
            seal(bench.root, bench.out, catalogue=small_catalogue(SPORTS), **arguments)
        assert sorted(path.name for path in bench.root.parent.iterdir()) == ["benchmark"]

    def test_a_benchmark_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(SealingRefused):
            seal(
                tmp_path / "absent",
                tmp_path / "out",
                catalogue=small_catalogue(SPORTS),
                recipients=RECIPIENTS,
            )

    def test_a_run_that_breaks_leaves_nothing(self, benchmark_folder: Benchmark) -> None:
        def broken(_count: int) -> bytes:
            raise OSError("no randomness")

        bench = benchmark_folder.task(SPORTS, item(1, "x"))
        with pytest.raises(OSError, match="no randomness"):
            bench.seal(SPORTS, random=broken)
        assert sorted(path.name for path in bench.root.parent.iterdir()) == ["benchmark"]

    def test_nothing_matched_is_never_written(self, benchmark_folder: Benchmark) -> None:
        report = benchmark_folder.seal(SPORTS, allow_unmatched=True)
        assert not report.written
        assert not benchmark_folder.out.exists()
