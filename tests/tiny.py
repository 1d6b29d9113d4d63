"""Captioners and embedding models true to their architectures, of a few thousand random weights, made in a moment.

Each is saved as Hugging Face repositories are, so that it is found, loaded and asked as a real one would be. Their
words are garbage, but they depend on the picture: weights are drawn wide enough for that.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

WORDS = (
    *("a", "the", "of", "in", "on", "with", "and", "photo", "picture", "woman", "man", "cat", "dog", "frog", "bird"),
    *("car", "tree", "house", "sky", "water", "red", "green", "blue", "white", "black", "small", "large", "old"),
    *("young", "sitting", "standing", "running", "table", "chair", "window", "street", "field", "is", "was", "are"),
    *("smile", "hair", "eyes"),
)

LLAVA_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }} {% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
QWEN_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }} "
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant {% endif %}"
)
_VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
}
_QFORMER: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "encoder_hidden_size": 32,
    "vocab_size": 16,
}


def _words(
    special: Sequence[str], *, first: str | None = None, last: str | None = None, **named: Any
) -> PreTrainedTokenizerFast:
    """A tokenizer of whole words; `first` and `last` are put around a text that asks for special tokens."""
    vocabulary = {word: number for number, word in enumerate([*special, *WORDS, ",", ".", ":", "?", "'"])}
    built = Tokenizer(models.WordLevel(vocabulary, unk_token=named["unk_token"]))
    built.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    around = [(token, vocabulary[token]) for token in (first, last) if token]
    if around:
        single = " ".join([*([first] if first else []), "$A", *([last] if last else [])])
        built.post_processor = processors.TemplateProcessing(single=single, special_tokens=around)
    return PreTrainedTokenizerFast(tokenizer_object=built, **named)


def _bert() -> Any:
    """As BLIP and GIT have it, with BLIP's two tokens of its own at the end."""
    from transformers import BertTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [*special, *WORDS, "##s", "##ing", ",", ".", "arafed", "[DEC]", "[ENC]"]
    vocabulary = {word: number for number, word in enumerate(words)}
    return BertTokenizerFast(vocab=vocabulary, bos_token="[DEC]", additional_special_tokens=["[ENC]"])


def _bytes(extra: Sequence[str]) -> Any:
    """A byte-level tokenizer, as Florence-2's: a token a byte, and `extra`."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    vocabulary = {token: number for number, token in enumerate([*special, *alphabet])}
    built = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(
        tokenizer_object=built,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
        extra_special_tokens={"image_token": "<image>"},
    )
    made.add_tokens(list(extra))
    return made


def _wide(model: Any, *, seed: int = 0, spread: float = 0.3) -> Any:
    """`model` with weights drawn anew, wider than training begins with: then pictures make a difference."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, weight in sorted(model.named_parameters()):
            if weight.ndim > 1:
                weight.copy_(torch.randn(weight.shape, generator=generator) * spread)
    return model.eval()


def build_blip(folder: Path, *, seed: int = 0) -> Path:
    """BLIP: a ViT, and a BERT that looks at it."""
    from transformers import BlipConfig, BlipForConditionalGeneration, BlipImageProcessorPil, BlipProcessor

    tokenizer = _bert()
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in ("[DEC]", "[PAD]", "[SEP]")}
    config = BlipConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "encoder_hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 128,
            "bos_token_id": ids["[DEC]"],
            "pad_token_id": ids["[PAD]"],
            "eos_token_id": ids["[SEP]"],
            "sep_token_id": ids["[SEP]"],
        },
        vision_config={**_VISION, "patch_size": 16},
        projection_dim=16,
    )
    torch.manual_seed(seed)
    _wide(BlipForConditionalGeneration(config), seed=seed).save_pretrained(folder)
    BlipProcessor(BlipImageProcessorPil(size={"height": 32, "width": 32}), tokenizer).save_pretrained(folder)
    return folder


def build_blip2(folder: Path, *, seed: int = 0) -> Path:
    """BLIP-2: a ViT, a Q-Former, and an OPT."""
    from transformers import Blip2Config, Blip2ForConditionalGeneration, Blip2Processor, BlipImageProcessorPil

    special = ["<s>", "<pad>", "</s>", "<unk>", "\n"]
    tokenizer = _words(special, first="</s>", bos_token="</s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    image = tokenizer.convert_tokens_to_ids("<image>")
    config = Blip2Config(
        vision_config={**_VISION, "patch_size": 16},
        qformer_config=_QFORMER,
        text_config={
            "model_type": "opt",
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "ffn_dim": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "word_embed_proj_dim": 32,
            "max_position_embeddings": 128,
            "bos_token_id": 2,
            "pad_token_id": 1,
            "eos_token_id": 4,
        },
        num_query_tokens=4,
        image_token_index=image,
    )
    _wide(Blip2ForConditionalGeneration(config), seed=seed).save_pretrained(folder)
    processor = Blip2Processor(BlipImageProcessorPil(size={"height": 32, "width": 32}), tokenizer, num_query_tokens=4)
    processor.save_pretrained(folder)
    return folder


def build_git(folder: Path, *, seed: int = 0) -> Path:
    """GIT: a CLIP, and a BERT that reads its patches as words."""
    from transformers import CLIPImageProcessorPil, GitConfig, GitForCausalLM, GitProcessor

    tokenizer = _bert()
    config = GitConfig(
        vision_config={**_VISION, "patch_size": 16},
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=128,
        bos_token_id=2,
        eos_token_id=3,
        pad_token_id=0,
    )
    _wide(GitForCausalLM(config), seed=seed).save_pretrained(folder)
    pixels = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    GitProcessor(pixels, tokenizer).save_pretrained(folder)
    return folder


def build_florence(folder: Path, *, seed: int = 0) -> Path:
    """Florence-2: a DaViT, and a BART."""
    from transformers import (
        CLIPImageProcessorPil,
        Florence2Config,
        Florence2ForConditionalGeneration,
        Florence2Processor,
    )

    places = [f"<loc_{number}>" for number in range(1000)]
    tokenizer = _bytes(["<od>", "</od>", "<ocr>", "</ocr>", *places])
    side, tokens = 64, (64 // 32) ** 2 + 1
    config = Florence2Config(
        text_config={
            "model_type": "bart",
            "vocab_size": len(tokenizer),
            "d_model": 32,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "encoder_ffn_dim": 64,
            "decoder_ffn_dim": 64,
            "max_position_embeddings": 256,
            "bos_token_id": 0,
            "pad_token_id": 1,
            "eos_token_id": 2,
            "decoder_start_token_id": 2,
        },
        vision_config={
            "depths": [1, 1, 1, 1],
            "embed_dim": [8, 16, 24, 32],
            "num_heads": [1, 2, 3, 4],
            "num_groups": [1, 2, 3, 4],
            "projection_dim": 32,
            "window_size": 4,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
    )
    model = _wide(Florence2ForConditionalGeneration(config), seed=seed)
    model.generation_config.update(
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
        forced_bos_token_id=0,
        forced_eos_token_id=2,
        num_beams=3,
        early_stopping=True,
    )
    model.save_pretrained(folder)
    pixels = CLIPImageProcessorPil(
        size={"height": side, "width": side},
        crop_size={"height": side, "width": side},
        do_center_crop=False,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    pixels.image_seq_length = tokens
    Florence2Processor(pixels, tokenizer, post_processor_config=FLORENCE_PARSING).save_pretrained(folder)
    return folder


_OCR = "(.+?)" + r"<loc_(\d+)>" * 8
FLORENCE_PARSING: dict[str, Any] = {
    "pure_text": {},
    "ocr": {"PATTERN": _OCR, "AREA_THRESHOLD": 0.0},
    "phrase_grounding": {"banned_grounding_tokens": []},
    "description_with_bboxes": {},
    "bboxes": {},
    "polygons": {},
    "description_with_polygons": {},
    "description_with_bboxes_or_polygons": {},
}


def _qwen_words() -> PreTrainedTokenizerFast:
    """As Qwen-VL has it, with its template."""
    special = [
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        "<|vision_start|>",
        "<|vision_end|>",
        "<|image_pad|>",
        "<|video_pad|>",
        "<unk>",
    ]
    tokenizer = _words(
        special,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token="<unk>",
        additional_special_tokens=special[1:-1],
    )
    tokenizer.chat_template = QWEN_TEMPLATE
    return tokenizer


def _qwen_ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    names = {"image_token": "image_pad", "video_token": "video_pad", "vision_start_token": "vision_start"}
    names["vision_end_token"] = "vision_end"
    return {f"{name}_id": tokenizer.convert_tokens_to_ids(f"<|{token}|>") for name, token in names.items()}


def build_qwen(folder: Path, *, seed: int = 0) -> Path:
    """Qwen2.5-VL: a ViT that takes any size, and a Qwen2."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2VLImageProcessorPil

    tokenizer = _qwen_words()
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "max_position_embeddings": 1024,
            "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0},
            "bos_token_id": 0,
            "eos_token_id": 2,
            "pad_token_id": 0,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 14,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1],
            "window_size": 56,
        },
        **_qwen_ids(tokenizer),
    )
    model = _wide(Qwen2_5_VLForConditionalGeneration(config), seed=seed)
    # As Qwen publishes it: sampling settings that must not be obeyed, and two tokens that end a text.
    model.generation_config.update(
        do_sample=True, temperature=0.7, top_p=0.8, top_k=20, eos_token_id=[2, 0], pad_token_id=0, bos_token_id=0
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    size = {"shortest_edge": 28 * 28, "longest_edge": 28 * 28 * 16}
    Qwen2VLImageProcessorPil(size=size).save_pretrained(folder)
    return folder


def build_qwen3(folder: Path, *, seed: int = 0) -> Path:
    """Qwen3-VL: patches of 16, and vision features that go into several layers of its Qwen3."""
    from transformers import Qwen2VLImageProcessorPil, Qwen3VLConfig, Qwen3VLForConditionalGeneration

    tokenizer = _qwen_words()
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "max_position_embeddings": 1024,
            "rope_parameters": {"rope_type": "default", "mrope_section": [4, 2, 2], "rope_theta": 10000.0},
            "bos_token_id": 0,
            "eos_token_id": 2,
            "pad_token_id": 0,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 16,
            "out_hidden_size": 32,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        **_qwen_ids(tokenizer),
    )
    _wide(Qwen3VLForConditionalGeneration(config), seed=seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    size = {"shortest_edge": 32 * 32, "longest_edge": 32 * 32 * 16}
    pixels = Qwen2VLImageProcessorPil(size=size, patch_size=16, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    pixels.save_pretrained(folder)
    return folder


def build_blip2_t5(folder: Path, *, seed: int = 0) -> Path:
    """BLIP-2 with a T5, which reads the question apart from the answer."""
    from transformers import Blip2Config, Blip2ForConditionalGeneration, Blip2Processor, BlipImageProcessorPil

    tokenizer = _words(["<pad>", "</s>", "<unk>"], last="</s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    config = Blip2Config(
        vision_config={**_VISION, "patch_size": 16},
        qformer_config=_QFORMER,
        text_config={
            "model_type": "t5",
            "vocab_size": len(tokenizer),
            "d_model": 32,
            "d_kv": 16,
            "d_ff": 64,
            "num_layers": 2,
            "num_decoder_layers": 2,
            "num_heads": 2,
            "pad_token_id": 0,
            "eos_token_id": 1,
            "decoder_start_token_id": 0,
        },
        num_query_tokens=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    _wide(Blip2ForConditionalGeneration(config), seed=seed).save_pretrained(folder)
    processor = Blip2Processor(BlipImageProcessorPil(size={"height": 32, "width": 32}), tokenizer, num_query_tokens=4)
    processor.save_pretrained(folder)
    return folder


def build_llava(folder: Path, *, seed: int = 0, clip: bool = False) -> Path:
    """LLaVA, as JoyCaption is one: a SigLIP, and a Llama; or, with `clip`, as LLaVA 1.5 is one."""
    from transformers import (
        CLIPImageProcessorPil,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        SiglipImageProcessorPil,
    )

    tokenizer = _words(
        ["<s>", "</s>", "<unk>", "<pad>", "<image>"],
        first="<s>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        additional_special_tokens=["<image>"],
    )
    strategy = "default" if clip else "full"
    config = LlavaConfig(
        vision_config={
            **_VISION,
            "model_type": "clip_vision_model" if clip else "siglip_vision_model",
            "num_hidden_layers": 3,
            "patch_size": 16,
        },
        text_config={
            "model_type": "llama",
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "max_position_embeddings": 512,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 3,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_select_strategy=strategy,
        vision_feature_layer=-2,
    )
    _wide(LlavaForConditionalGeneration(config), seed=seed).save_pretrained(folder)
    pixels: Any = SiglipImageProcessorPil(size={"height": 32, "width": 32})
    if clip:
        pixels = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    processor = LlavaProcessor(
        pixels,
        tokenizer,
        patch_size=16,
        num_additional_image_tokens=1 if clip else 0,
        vision_feature_select_strategy=strategy,
        chat_template=LLAVA_TEMPLATE,
    )
    processor.save_pretrained(folder)
    return folder


def build_clip(folder: Path, *, seed: int = 0) -> Path:
    """CLIP, both towers."""
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    text = {**_VISION, "vocab_size": 50, "max_position_embeddings": 16, "projection_dim": 24}
    text.pop("image_size")
    vision = {**_VISION, "patch_size": 16, "projection_dim": 24}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=24))
    _wide(model, seed=seed).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def build_siglip(folder: Path, *, seed: int = 0) -> Path:
    """SigLIP, both towers."""
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel

    text = {**_VISION, "vocab_size": 50, "max_position_embeddings": 16}
    text.pop("image_size")
    model = SiglipModel(SiglipConfig(text_config=text, vision_config={**_VISION, "patch_size": 16}))
    _wide(model, seed=seed).save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def build_dinov2(folder: Path, *, seed: int = 0) -> Path:
    """DINOv2, whose processor enlarges the shorter side and takes the middle."""
    from transformers import BitImageProcessorPil, Dinov2Config, Dinov2Model

    model = Dinov2Model(Dinov2Config(**{**_VISION, "image_size": 28}, patch_size=14))
    _wide(model, seed=seed).save_pretrained(folder)
    BitImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28}).save_pretrained(folder)
    return folder


def build_dinov3(folder: Path, *, seed: int = 0) -> Path:
    """DINOv3, whose own processor needs torchvision."""
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    config = DINOv3ViTConfig(**_VISION, patch_size=16, num_register_tokens=2)
    _wide(DINOv3ViTModel(config), seed=seed).save_pretrained(folder)
    said = {
        "image_processor_type": "DINOv3ViTImageProcessorFast",
        "size": {"height": 32, "width": 32},
        "resample": 2,
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "rescale_factor": 1 / 255,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(said), encoding="utf-8")
    return folder


def build_vit(folder: Path, *, seed: int = 0) -> Path:
    """A ViT classifier, as most ViTs are published."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

    model = ViTForImageClassification(ViTConfig(**_VISION, patch_size=16, num_labels=3))
    _wide(model, seed=seed).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def changed(folder: Path, name: str, **said: Any) -> None:
    """Say otherwise in a JSON file of a model's folder."""
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | said))
