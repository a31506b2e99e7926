"""A tiny catalogue on disk that a test spoils in one place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from general_level import catalogue
from general_level.errors import CatalogueError

FILES = {
    "catalogue.toml": """\
id = "tiny"
title = "Tiny"
date = "2025-05"
default_reference_list = "first"

[[reference_lists]]
id = "first"
title = "First"
date = "2025-05"

[expects]
tasks = 3
boards = 4
""",
    "metrics.toml": """\
[[metrics]]
id = "accuracy"
name = "Accuracy"
direction = "higher"
unit = "percent"
mapping = "identity"
minimum = 0.0
maximum = 100.0
grading = "automatic"
version = 1
answer_kinds = ["label"]
definition = "Share of equal labels."
source = "a test"

[[metrics]]
id = "mae"
name = "Mean absolute error"
direction = "lower"
unit = "count"
mapping = "tanh-inverse"
scale = 50.0
minimum = 0.0
grading = "automatic"
version = 1
answer_kinds = ["number"]
definition = "Mean absolute difference."
source = "a test"
""",
    "boards.toml": """\
[[boards]]
id = "A-full"
name = "All"
scope = "A"
highest_level = 5

[[boards]]
id = "C-image-comprehension"
name = "Image comprehension"
scope = "C"
modalities = ["image"]
paradigms = ["comprehension"]
highest_level = 3

[[boards]]
for_each = "skill"
id = "D-{skill}"
name = "{skill_name}"
scope = "D"
highest_level = 3
""",
    "skills.csv": """\
id,name,modality,paradigm
I-C-1,Recognition,image,comprehension
L-1,Questions,language,none
""",
    "tasks.csv": """\
id,modality,paradigm,skill,name,folder,metric,answer_kind,specialist,workbook_row,options
image-c-001,image,comprehension,I-C-1,Cats,Cats,accuracy,label,CLIP,1,
image-c-002,image,comprehension,I-C-1,Dogs,Dogs,mae,number,CLIP,2,k=50;language=python
language-001,language,none,L-1,Cats,Cats,accuracy,label,T5,1,
""",
    "references/first.csv": """\
task,score,source,date
image-c-001,50.0,a test,2025-05
image-c-002,5.9,a test,2025-05-01
language-001,70,a test,2025-05
""",
}

Write = Callable[[dict[str, str]], Path]
Refuse = Callable[..., CatalogueError]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the tiny catalogue, with some files replaced, and gives its folder."""

    def write_files(replaced: dict[str, str]) -> Path:
        for file, text in {**FILES, **replaced}.items():
            path = tmp_path / file
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return write_files


@pytest.fixture
def refuse(write: Write) -> Refuse:
    """The error after one text of one file was replaced; the text must occur there."""

    def refused(file: str, old: str, new: str) -> CatalogueError:
        assert old in FILES[file]
        with pytest.raises(CatalogueError) as caught:
            catalogue.read(write({file: FILES[file].replace(old, new, 1)}))
        return caught.value

    return refused
