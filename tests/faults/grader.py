"""``python -m services.grader`` with the scorer of `tests.faults.scorer`."""

from __future__ import annotations

from functools import partial

from services.grader import app
from services.grader.__main__ import main
from tests.faults import scorer

if __name__ == "__main__":
    app.ScorerProcess = partial(app.ScorerProcess, module=scorer.__name__)  # type: ignore[misc,assignment]
    main(prog_name="python -m tests.faults.grader")
