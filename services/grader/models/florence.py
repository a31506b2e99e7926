"""Florence-2: which objects a picture shows, where, and what they look like (B. Xiao et al., 2024).

The network is asked twice: for objects by their category, and for regions with descriptions. It
answers greedily, by text of a bounded length, which ``regions`` reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from services.grader.device import Device
from services.grader.metrics.motion.detections import Detection
from services.grader.models import hub
from services.grader.models.pictures import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Picture,
    Processor,
    check_video,
)
from services.grader.models.regions import described, regions
from services.grader.weights.errors import WeightsInvalid
from services.grader.weights.folder import HeldWeights

FRAMES_PER_BATCH: Final = 4
#: Pixels of both sides as the network sees a picture.
SIDE: Final = 768
#: The longest answer in tokens, about fifty regions.
LONGEST: Final = 512
#: What the network was trained to be asked.
OBJECTS: Final = "Locate the objects with category name in the image."
DESCRIPTIONS: Final = "Locate the objects in the image, with their descriptions."


class Florence:
    """The network with its words, ready to be asked about pictures."""

    def __init__(self, held: HeldWeights, place: torch.device) -> None:
        kind = hub.Florence2ForConditionalGeneration
        self.model = hub.open_network(kind, held.folder, "florence2", place)
        self.tokenizer = hub.open_part(hub.RobertaTokenizer, held.folder)
        if self.tokenizer.convert_tokens_to_ids("<loc_999>") == self.tokenizer.unk_token_id:
            raise WeightsInvalid(
                f"The words of {held.weights.id} know no places.", weights=held.weights.id, file=""
            )
        self._place = place
        self._processor = Processor(SIDE, SIDE, IMAGENET_MEAN, IMAGENET_STD, square=True)
        text = self.model.config.text_config
        self._rules: Any = hub.GenerationConfig(  # type: ignore[no-untyped-call]
            do_sample=False,
            num_beams=1,
            max_new_tokens=min(LONGEST, text.max_position_embeddings - 1),
            # As published: three tokens in a row are not said twice.
            no_repeat_ngram_size=3,
            decoder_start_token_id=text.decoder_start_token_id,
            forced_bos_token_id=text.bos_token_id,
            bos_token_id=text.bos_token_id,
            eos_token_id=text.eos_token_id,
            pad_token_id=text.pad_token_id,
        )

    def see(self, pictures: Sequence[Picture]) -> Tensor:
        """Pictures [h, w, 3] uint8 as what the text part is shown of them, [n, tokens, width]."""
        pixels = self._processor(pictures).to(self._place)
        found: Tensor = self.model.get_image_features(pixels).pooler_output
        return found

    def answers(self, seen: Tensor, prompt: str) -> list[str]:
        """The answer about each of the pictures, its special words included."""
        words = self.tokenizer(f"<s>{prompt}</s>", add_special_tokens=False, return_tensors="pt")
        asked = self.model.get_input_embeddings()(words.input_ids.to(self._place))
        inputs = torch.cat([seen, asked.expand(len(seen), -1, -1)], dim=1)
        mask = torch.ones(inputs.shape[:2], dtype=torch.long, device=self._place)
        read = self.model.get_encoder()(inputs_embeds=inputs, attention_mask=mask)
        tokens = self.model.generate(
            encoder_outputs=read, attention_mask=mask, generation_config=self._rules
        )
        found: list[str] = self.tokenizer.batch_decode(
            tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return found


def open_florence(held: HeldWeights, device: Device) -> Mapping[str, Any]:
    """``detections``: a video [t, h, w, 3] uint8 to the detections of each of its frames.

    A detection's label is the category, its caption the description whose box fits best.
    """
    network = Florence(held, device.place)

    def batch(frames: Sequence[Picture]) -> list[list[Detection]]:
        seen = network.see(frames)
        objects, descriptions = (network.answers(seen, ask) for ask in (OBJECTS, DESCRIPTIONS))
        found = []
        for frame, *said in zip(frames, objects, descriptions, strict=True):
            height, width = frame.shape[:2]
            found.append(described(*(regions(answer, width, height) for answer in said)))
        return found

    def detections(frames: Picture) -> list[list[Detection]]:
        return device.in_batches(list(check_video(frames)), FRAMES_PER_BATCH, batch)

    return {"detections": detections}
