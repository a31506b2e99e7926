"""Tiny networks of the real architectures, with random weights, in an operator's folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

# Before transformers: it tells the library to stay offline.
from services.grader.models import hub
from services.grader.models.inception import Inception
from services.grader.models.motion_encoder import MotionNetwork
from services.grader.models.musiq import Musiq, MusiqSizes
from services.grader.models.raft import Raft
from services.grader.models.tensors import TENSORS_FILE
from services.grader.models.umt import Umt, UmtSizes
from services.grader.models.vggish import Vggish
from services.grader.models.viclip import Viclip, ViclipSizes
from services.grader.models.video_resnet import VideoResNet

# isort: split
from transformers import (
    ClapConfig,
    CLIPConfig,
    Dinov2Config,
    Florence2Config,
    GenerationConfig,
    ViTConfig,
    WhisperConfig,
)

_SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
}

VICLIP = ViclipSizes(
    width=128,
    layers=2,
    patch=28,
    grid=2,
    words=514,
    tokens=16,
    text_width=64,
    text_layers=2,
    out=16,
)
UMT = UmtSizes(width=128, layers=2, patch=56, hidden=96, classes=10)
MUSIQ = MusiqSizes(stem=32, width=64, hidden=96, layers=2)


def _byte_letters() -> list[str]:
    """A visible letter for each byte, as byte-level vocabularies have them."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in visible]
    letters = {byte: chr(byte) for byte in visible}
    letters |= {byte: chr(256 + place) for place, byte in enumerate(hidden)}
    return [letters[byte] for byte in range(256)]


#: The words of Florence-2 in the order of their numbers: bytes, the picture itself, places.
FLORENCE_WORDS = [
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    *_byte_letters(),
    "<mask>",
    "<image>",
    *(f"<loc_{place}>" for place in range(1000)),
]


def write_all(root: Path) -> Mapping[str, str]:
    """Every network of the manifest under ``root``; the pins of what was written."""
    torch.manual_seed(7)
    _clip(root / "clip-vit-b-32", texts=True)
    _clip(root / "clip-vit-l-14", texts=False)
    _save(root / "aesthetic-head", torch.nn.Linear(16, 1))
    _dinov2(root / "dinov2-base")
    _clap(root / "clap-htsat-unfused")
    _whisper(root / "whisper-large-v3-turbo")
    _save(root / "inception-v3-fid", Inception(width=16))
    _save(root / "r3d-18", VideoResNet(channels=4))
    _save(root / "vggish", Vggish(channels=4, hidden=32))
    _save(root / "raft-things", Raft())
    _vit(root / "vit-base-imagenet")
    _save(root / "t2m-evaluator", MotionNetwork(inputs=8, movement=16, hidden=24, out=12))
    _viclip(root / "viclip")
    _save(root / "musiq-koniq", stirred(Musiq(MUSIQ)))
    _save(root / "umt-l-16", stirred(Umt(UMT)))
    write_florence(root / "florence-2-base-ft", florence())
    return pins_of(root)


def stirred(module: torch.nn.Module) -> torch.nn.Module:
    """The module with noise on its numbers: some begin at 0 or 1 and would hide a fault."""
    with torch.no_grad():
        for part in module.parameters():
            part.add_(0.1 * torch.randn_like(part))
    return module


def florence() -> torch.nn.Module:
    """A network that babbles about pictures."""
    places = 100
    config = Florence2Config(
        text_config={
            "model_type": "bart",
            "vocab_size": len(FLORENCE_WORDS),
            "d_model": 32,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "encoder_ffn_dim": 48,
            "decoder_ffn_dim": 48,
            "max_position_embeddings": places,
            "init_std": 0.5,
        },
        vision_config={
            "depths": [1, 1, 1, 1],
            "embed_dim": [8, 8, 16, 16],
            "num_heads": [2, 2, 2, 2],
            "num_groups": [2, 2, 2, 2],
            "patch_stride": [16, 2, 2, 2],
            "projection_dim": 32,
            "initializer_range": 0.5,
        },
        image_token_id=FLORENCE_WORDS.index("<image>"),
    )
    return hub.Florence2ForConditionalGeneration(config)


def write_florence(folder: Path, model: torch.nn.Module) -> None:
    """``model`` with its words and places."""
    _pretrained(folder, model)
    (folder / "generation_config.json").unlink()
    table = {word: place for place, word in enumerate(FLORENCE_WORDS[:260])}
    tokenizer = hub.RobertaTokenizer(
        vocab=table, merges=[], extra_special_tokens={"image_token": "<image>"}
    )
    places = [word for word in FLORENCE_WORDS if word.startswith("<loc_")]
    tokenizer.add_special_tokens({"additional_special_tokens": places})
    assert tokenizer.convert_tokens_to_ids("<loc_999>") == FLORENCE_WORDS.index("<loc_999>")
    tokenizer.save_pretrained(folder)


def pins_of(root: Path) -> Mapping[str, str]:
    """The SHA-256 of every file two levels down, by ``folder/file``."""
    return {
        f"{file.parent.name}/{file.name}": hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(root.glob("*/*"))
    }


def _save(folder: Path, module: torch.nn.Module) -> None:
    folder.mkdir(parents=True)
    for part in module.modules():
        # Fresh statistics are 0 and 1, which would hide a norm that is left out.
        if (
            isinstance(part, torch.nn.modules.batchnorm._BatchNorm)
            and part.running_mean is not None
        ):
            part.running_mean.normal_(0.0, 0.1)
            part.running_var.uniform_(0.5, 2.0)
    tensors = {name: tensor.contiguous() for name, tensor in module.state_dict().items()}
    save_file(tensors, folder / TENSORS_FILE)


def _clip(folder: Path, *, texts: bool) -> None:
    config = CLIPConfig(
        text_config={
            **_SMALL,
            "vocab_size": 514,
            "max_position_embeddings": 16,
            "projection_dim": 16,
            "bos_token_id": 512,
            "eos_token_id": 513,
            "pad_token_id": 513,
        },
        vision_config={**_SMALL, "image_size": 32, "patch_size": 8, "projection_dim": 16},
        projection_dim=16,
    )
    _pretrained(folder, hub.CLIPModel(config))
    if texts:
        _clip_words(folder)


def _clip_words(folder: Path) -> None:
    bytes_ = _byte_letters()
    words = [*bytes_, *(f"{letter}</w>" for letter in bytes_)]
    _vocabulary(folder, [*words, "<|startoftext|>", "<|endoftext|>"])


def _viclip(folder: Path) -> None:
    _save(folder, stirred(Viclip(VICLIP)))
    _clip_words(folder)


def _dinov2(folder: Path) -> None:
    config = Dinov2Config(
        hidden_size=32, num_attention_heads=2, num_hidden_layers=2, image_size=56, patch_size=28
    )
    _pretrained(folder, hub.Dinov2Model(config))


def _vit(folder: Path) -> None:
    config = ViTConfig(**_SMALL, image_size=32, patch_size=8, num_labels=20)
    _pretrained(folder, hub.ViTForImageClassification(config))


def _clap(folder: Path) -> None:
    config = ClapConfig(
        text_config={**_SMALL, "vocab_size": 261, "max_position_embeddings": 20},
        audio_config={
            "window_size": 4,
            "num_mel_bins": 16,
            "spec_size": 64,
            "patch_size": 4,
            "patch_stride": [4, 4],
            "num_hidden_layers": 2,
            "depths": [1, 1],
            "num_attention_heads": [2, 2],
            "patch_embeds_hidden_size": 16,
            "hidden_size": 32,
            "projection_dim": 16,
        },
        projection_dim=16,
    )
    _pretrained(folder, hub.ClapModel(config))
    _vocabulary(folder, ["<s>", "<pad>", "</s>", "<unk>", *_byte_letters(), "<mask>"])
    hub.ClapFeatureExtractor(
        feature_size=16, max_length_s=2, truncation="rand_trunc", padding="repeatpad"
    ).save_pretrained(folder)


def _whisper(folder: Path) -> None:
    special = [
        "<|endoftext|>",
        "<|startoftranscript|>",
        "<|en|>",
        "<|zh|>",
        "<|translate|>",
        "<|transcribe|>",
        "<|notimestamps|>",
    ]
    words = [*_byte_letters(), *special]
    config = WhisperConfig(
        vocab_size=len(words),
        num_mel_bins=16,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        max_source_positions=50,
        max_target_positions=32,
        bos_token_id=256,
        eos_token_id=256,
        pad_token_id=256,
        decoder_start_token_id=257,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    model = hub.WhisperForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        max_length=12,
        bos_token_id=256,
        eos_token_id=256,
        pad_token_id=256,
        decoder_start_token_id=257,
        no_timestamps_token_id=262,
        # A random network would repeat its last instruction.
        suppress_tokens=list(range(256, 263)),
        is_multilingual=True,
        lang_to_id={"<|en|>": 258, "<|zh|>": 259},
        task_to_id={"translate": 260, "transcribe": 261},
    )
    _pretrained(folder, model)
    hub.WhisperFeatureExtractor(feature_size=16, chunk_length=1).save_pretrained(folder)
    vocabulary = {word: place for place, word in enumerate(words[:256])}
    tokenizer = hub.WhisperTokenizer(vocab=vocabulary, merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": special})
    tokenizer.save_pretrained(folder)


def _pretrained(folder: Path, model: torch.nn.Module) -> None:
    folder.mkdir(parents=True)
    model.eval().save_pretrained(folder)


def _vocabulary(folder: Path, words: list[str]) -> None:
    table = {word: place for place, word in enumerate(words)}
    (folder / "vocab.json").write_text(json.dumps(table), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", "utf-8")
