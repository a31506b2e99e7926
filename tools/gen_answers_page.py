"""Regenerates the page of what annotations of media tasks hold, or proves that it is current.

python tools/gen_answers_page.py            write docs/operators/answers.md
python tools/gen_answers_page.py --verify   exit 1 if it differs
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from general_level import catalogue
from services.grader.media.table import BINDINGS
from services.grader.metric_options import OPTIONS
from services.grader.weights.manifest import load_manifest

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "operators" / "answers.md"

HEAD: Final = """\
# What a media task's annotation holds

This page is made by `make pages` from the code that reads keys, so it is what sealing demands.

`output` of an item is its accepted answer. Unless a row says otherwise it has the form of a lab's
answer of that kind ([the format](../labs/format.md)), and files are named by their path beside
`annotation.json`. `{"references": [...]}` lists several; a metric that compares with one takes the
first. Sealing reads each one as grading will, and keeps an item out whose answer its metric could
not use (`wrong-output-type`).

The options are those that a task may have in the catalogue's `tasks.csv`. A metric with networks is
graded where the operator's folder holds them ([weights](weights.md)).

| metric | answer kinds | `output` | options | networks |
|---|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    bench = catalogue.load()
    manifest = load_manifest()
    names = {keyword: option for option, (keyword, _) in OPTIONS.items()}
    rows = []
    for metric in bench.metrics.values():
        binding = BINDINGS.get(metric.id)
        if binding is None:
            continue
        cells = (
            f"{metric.name} (`{metric.id}`)",
            ", ".join(sorted(kind.value for kind in binding.kinds)),
            binding.key_form.replace("|", "\\\\|"),
            ", ".join(f"`{names[keyword]}`" for keyword in sorted(binding.options)),
            ", ".join(weights.id for weights in manifest.needed_by(metric.id)),
        )
        rows.append("| " + " | ".join(cells) + " |\n")
    return HEAD + "".join(rows)


def main() -> int:
    made = page()
    if "--verify" not in sys.argv[1:]:
        PAGE.write_text(made, "utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text("utf-8") == made:
        return 0
    print(f"{PAGE.name} is not current; run `make pages`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
