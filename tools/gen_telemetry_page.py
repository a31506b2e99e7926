"""Regenerates the reference table of telemetry, or proves that it is current.

python -m tools.gen_telemetry_page            write docs/operators/telemetry.md
python -m tools.gen_telemetry_page --verify   exit 1 if it differs
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from general_level.submission.codes import Code
from tools.telemetry_registries import PROCESS, Series, Service, series_of, services

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "operators" / "telemetry.md"
_CODES: Final = tuple(map(str, Code))

HEAD: Final = """\
# Telemetry

This page is made by `make pages` from the services' own registries, so it is what Prometheus finds.
[Runbook](runbook.md): what each alert means. The dashboards are in `deploy/dashboards`.

Each service serves `/metrics` over plain HTTP on a port of its own: `GATEWAY_METRICS_PORT`,
`GRADER_METRICS_PORT`, `RANKER_METRICS_PORT`, with `…_METRICS_HOST` for the interface (loopback if
it is not set). Without a port there is no telemetry. It needs no token and says nothing secret, but
how much is going on: let nobody but Prometheus reach it.

* Names end in their base unit: seconds, bytes, `_total` for what only grows, `_timestamp_seconds`
  for an instant.
* All values of a label are known to the code and listed here. No label holds an id, a name or a
  text of a lab, a task or a file. Every series is there from the start, at 0.
* A gateway's series marked *same* say what the one database holds: all gateways tell the same.
  Take them by `max`, never by `sum`. Those marked *own* are of one process: what they count since
  it started is added up over all replicas, as a `rate` or `increase`.
* A `histogram` has the series `_bucket`, `_sum` and `_count`, and the further label `le`.
"""

_PROCESS_HEAD: Final = """
## Every service's process

"""
_TABLE: Final = "| series | type | labels | replicas | what it says |\n|---|---|---|---|---|\n"


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for service in services():
        parts.append(f"\n## {service.title} (`{service.port}`)\n\n{_TABLE}")
        parts += [_row(one) for one in series_of(service) if not one.name.startswith(PROCESS)]
    parts.append(_PROCESS_HEAD + _TABLE)
    parts += [_row(one) for one in _of_processes(services()[0])]
    return "".join(parts)


def _of_processes(service: Service) -> list[Series]:
    return [one for one in series_of(service) if one.name.startswith(PROCESS)]


def _row(one: Series) -> str:
    labels = "; ".join(f"{label}: {_values(values)}" for label, values in one.labels.items())
    replicas = "same" if one.shared else "own"
    text = one.text.replace("|", "\\|")
    return f"| `{one.name}` | {one.kind} | {labels} | {replicas} | {text} |\n"


def _values(values: tuple[str, ...]) -> str:
    if values == _CODES:
        return "each [finding's code](../labs/findings.md)"
    return ", ".join(f"`{value}`" for value in values)


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
