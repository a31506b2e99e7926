"""The table of generation metrics: what it says is what the functions take."""

import inspect
import subprocess
import sys

import pytest

from general_level.catalogue import load
from services.grader.metrics.media_generation import GENERATION_METRICS


@pytest.mark.parametrize("metric", GENERATION_METRICS.values(), ids=lambda metric: metric.id)
def test_columns_extractors_and_options_are_the_functions_parameters(metric):
    parameters = inspect.signature(metric.function).parameters.values()
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    keywords = {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}

    assert tuple(positional) == metric.columns
    assert tuple(n for n, p in keywords.items() if p.default is p.empty) == metric.extractors
    assert {n for n, p in keywords.items() if p.default is not p.empty} == metric.options
    assert metric.oracle
    assert metric.statement.endswith(".")


def test_every_metric_is_the_catalogues():
    catalogue = load()

    known = {metric.id for metric in catalogue.metrics.values()}

    assert set(GENERATION_METRICS) <= known


def test_the_pure_modules_import_no_network_library():
    probe = (
        "import sys; import services.grader.metrics.media_generation; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'grpc')))"
    )

    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
