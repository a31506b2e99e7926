"""Florence-2: asked as the library asks it, and its answers read as objects with captions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from services.grader.device import Device
from services.grader.metrics.media_generation import GENERATION_METRICS
from services.grader.metrics.motion.detections import Detection
from services.grader.models import hub
from services.grader.models.extractors import Extractors
from services.grader.models.florence import (
    DESCRIPTIONS,
    FRAMES_PER_BATCH,
    OBJECTS,
    SIDE,
    Florence,
    open_florence,
)
from services.grader.models.regions import Region, described, regions
from services.grader.weights.errors import WeightsInvalid
from services.grader.weights.folder import HeldWeights, WeightsFolder
from services.grader.weights.manifest import Manifest
from tests.unit.grader.models.tiny import FLORENCE_WORDS, florence, write_florence

# isort: split
from transformers import Florence2Processor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.florence2.processing_florence2 import Florence2PostProcessor

BOX = "<loc_100><loc_200><loc_300><loc_400>"


@pytest.fixture(scope="module")
def network(tiny: WeightsFolder, cpu: Device) -> Florence:
    return Florence(tiny.get("florence-2-base-ft"), cpu.place)


def pictures(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (count, 30, 40, 3), dtype=np.uint8)


def test_regions_of_an_answer_by_hand() -> None:
    answer = f"</s><s>person{BOX}<loc_0><loc_0><loc_999><loc_999>fire truck{BOX}</s><pad>"
    small = (20.1, 20.05, 60.1, 40.05)
    found = regions(answer, width=200, height=100)
    assert [each.text for each in found] == ["person", "person", "fire truck"]
    for region, wanted in zip(found, (small, (0.1, 0.05, 199.9, 99.95), small), strict=True):
        assert region.box == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "</s><s></s>",
        "just words",
        BOX,
        "cat<loc_1><loc_2><loc_3>",
        "cat<loc_300><loc_200><loc_100><loc_400>",
        "cat<loc_100><loc_200><loc_300><loc_200>",
        " <loc_1><loc_2><loc_3><loc_4>",
        "cat</s>" + BOX + "dog",
    ],
)
def test_what_names_no_region_is_passed_over(answer: str) -> None:
    if answer.startswith("cat</s>"):
        # What frames an answer is no part of it.
        assert [each.text for each in regions(answer, 10, 10)] == ["cat"]
    else:
        assert regions(answer, 10, 10) == []


@pytest.mark.parametrize(
    "answer",
    [
        f"person{BOX}{BOX}a red fire truck<loc_5><loc_6><loc_700><loc_888>",
        f"</s><s>cat{BOX}<loc_7><loc_8>dog<loc_1><loc_2><loc_3></s>",
        "two words <loc_0><loc_0><loc_999><loc_999><pad><pad>",
    ],
)
def test_an_answer_is_read_as_the_library_reads_it(answer: str, network: Florence) -> None:
    size = (640, 360)
    library = Florence2PostProcessor(config=None, tokenizer=network.tokenizer)
    wanted = library.parse_description_with_bboxes_from_text_and_spans(answer, size)
    found = regions(answer, *size)
    assert [each.text for each in found] == [each["cat_name"] for each in wanted]
    # The library cuts to whole pixels.
    assert [[int(corner) for corner in each.box] for each in found] == [
        each["bbox"] for each in wanted
    ]


def test_an_object_has_the_caption_whose_box_fits_best() -> None:
    objects = [Region("car", (0, 0, 10, 10)), Region("dog", (50, 50, 60, 60))]
    captions = [
        Region("a street", (0, 0, 100, 100)),
        Region("a red car", (0, 0, 10, 9)),
        Region("a car's roof", (0, 0, 10, 6)),
        Region("a small dog", (50, 50, 60, 55)),
        Region("a puppy", (50, 55, 60, 60)),
    ]
    assert described(objects, captions) == [
        Detection("car", (0, 0, 10, 10), "a red car"),
        Detection("dog", (50, 50, 60, 60), "a small dog"),
    ]
    assert described(objects[1:], captions[:3]) == [Detection("dog", (50, 50, 60, 60), "")]
    assert described(objects[:1], []) == [Detection("car", (0, 0, 10, 10), "")]
    assert described([], captions) == []


@pytest.mark.parametrize(
    ("task", "prompt"), [("<OD>", OBJECTS), ("<DENSE_REGION_CAPTION>", DESCRIPTIONS)]
)
def test_pictures_and_questions_are_put_as_the_library_puts_them(
    task: str, prompt: str, network: Florence
) -> None:
    frames = pictures(2)
    images = CLIPImageProcessorPil(
        size={"height": SIDE, "width": SIDE},
        do_center_crop=False,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    with torch.inference_mode():
        seen = network.see(frames)
        images.image_seq_length = seen.shape[1]
        library = Florence2Processor(images, network.tokenizer, post_processor_config={})
        inputs = library(images=list(frames), text=[task] * 2, return_tensors="pt")
        tokens = network.model.generate(
            **inputs,
            max_new_tokens=99,
            do_sample=False,
            num_beams=1,
            no_repeat_ngram_size=3,
            forced_bos_token_id=0,
        )
        found = network.answers(seen, prompt)
    assert found == network.tokenizer.batch_decode(tokens)
    assert len(set(found)) == 2


def test_the_two_questions_have_two_answers(network: Florence) -> None:
    with torch.inference_mode():
        seen = network.see(pictures(1))
        assert network.answers(seen, OBJECTS) != network.answers(seen, DESCRIPTIONS)


def test_detections_are_the_same_twice_and_a_frames_own(extractors: Extractors) -> None:
    detector = extractors.get("detector")
    frames = pictures(FRAMES_PER_BATCH + 1)
    together = detector(frames)
    assert len(together) == len(frames)
    assert any(together)
    assert together == detector(frames)
    assert together == [detector(frame[None])[0] for frame in frames]
    for each in (detection for frame in together for detection in frame):
        left, top, right, bottom = each.box
        assert 0 <= left < right <= 40
        assert 0 <= top < bottom <= 30


def test_the_smallest_frame_is_looked_at(extractors: Extractors) -> None:
    assert len(extractors.get("detector")(np.zeros((1, 1, 1, 3), dtype=np.uint8))) == 1


def saying(answer: list[str]) -> torch.nn.Module:
    """A network that says these words, whatever it is shown: each place points at its word."""
    model = florence()
    state = model.state_dict()
    words = torch.randn(state["model.language_model.shared.weight"].shape)
    words -= words.mean(dim=1, keepdim=True)
    state["model.language_model.shared.weight"].copy_(words / words.norm(dim=1, keepdim=True))
    for name, tensor in state.items():
        if ".decoder.layers." in name and ("out_proj" in name or "fc2" in name):
            tensor.zero_()
    places = state["model.language_model.decoder.embed_positions.weight"]
    for place, word in enumerate(["<s>", *answer, "</s>"]):
        # The table's first two rows are taken by its padding.
        places[place + 2] = 100 * words[FLORENCE_WORDS.index(word)]
    return model


@pytest.fixture
def speaker(tmp_path: Path, manifest: Manifest) -> HeldWeights:
    words = ["c", "a", "t", "<loc_0>", "<loc_0>", "<loc_499>", "<loc_999>"]
    words += ["d", "o", "g", "<loc_500>", "<loc_249>", "<loc_999>", "<loc_749>"]
    write_florence(tmp_path / "said", saying(words))
    return HeldWeights(manifest.by_id["florence-2-base-ft"], tmp_path / "said", {})


def test_what_the_network_says_is_what_the_metrics_get(speaker: HeldWeights, cpu: Device) -> None:
    detector = open_florence(speaker, cpu)["detections"]
    video = pictures(3)
    for frame in detector(video):
        assert [(each.label, each.caption) for each in frame] == [("cat", "cat"), ("dog", "dog")]
        assert frame[0].box == pytest.approx((0.02, 0.015, 19.98, 29.985))
        assert frame[1].box == pytest.approx((20.02, 7.485, 39.98, 22.485))
    both = GENERATION_METRICS["multi-object-success"].function
    assert both([video, video], [["cat", "dog"], ["cat", "cow"]], detector=detector).value == 50.0


def test_words_without_places_are_refused(speaker: HeldWeights) -> None:
    table = {word: place for place, word in enumerate(FLORENCE_WORDS[:260])}
    hub.RobertaTokenizer(vocab=table, merges=[]).save_pretrained(speaker.folder)
    with pytest.raises(WeightsInvalid, match="no places"):
        Florence(speaker, torch.device("cpu"))
