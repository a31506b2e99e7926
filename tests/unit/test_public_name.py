"""What the public is told of a model without its name."""

from __future__ import annotations

import re

import pytest

from general_level.public_name import looks_public, public_name, shown_model
from general_level.v1 import submission_pb2 as pb

MODEL = pb.ModelMetadata(
    model_name="Model",
    organisation="Lab",
    parameter_count=7,
    description="Ours.",
    modalities=["image"],
    report_url="https://lab.example/",
    contact_email="who@lab.example",
    open_weights=True,
)


def test_a_public_name_is_the_same_for_the_same_lab_and_model_only() -> None:
    name = public_name("lab_1", "Model")
    assert name == public_name("lab_1", "Model")
    assert len({name, public_name("lab_2", "Model"), public_name("lab_1", "Model 2")}) == 3
    assert re.fullmatch("Anonymous [0-9a-f]{8}", name)
    # Where the lab's id ends and the name begins is part of it.
    assert public_name("lab_1", "1") != public_name("lab_11", "")


def test_an_open_model_is_shown_as_it_is_but_for_the_address() -> None:
    shown = shown_model("lab_1", MODEL)
    assert shown.contact_email == ""
    shown.contact_email = MODEL.contact_email
    assert shown == MODEL


def test_an_anonymous_one_is_known_by_its_figures_only() -> None:
    hidden = pb.ModelMetadata()
    hidden.CopyFrom(MODEL)
    hidden.anonymous = True
    shown = shown_model("lab_1", hidden)
    assert shown == pb.ModelMetadata(
        model_name=public_name("lab_1", "Model"),
        parameter_count=7,
        modalities=["image"],
        open_weights=True,
    )
    # What is shown once is not turned into another name by who shows it again.
    assert shown_model("lab_1", shown) == shown


@pytest.mark.parametrize(
    ("name", "looks"),
    [
        ("Anonymous 0123abcd", True),
        (" ANONYMOUS  0123ABCD", True),
        ("Anonymous", False),
        ("Anonymous Llama", False),
        ("Anonymous 0123abcde", False),
    ],
)
def test_a_name_that_looks_like_one_is_told_apart(name: str, looks: bool) -> None:
    assert looks_public(name) is looks
