# What stands in a library of models, and is called with, is open.
# ruff: noqa: ANN401
"""The networks of `benchmarks/zoo.py`, made from their configurations: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from networks_of_libraries import without_its_operations
from people import models as people_models
from torch import nn

Case = tuple[str, Callable[[], nn.Module], Any]
"""A name, how to make the network, and what it is called with; a size in place of an image."""

Done = Callable[[str], bool]
"""Whether a network of this name is measured already."""


def people(done: Done) -> Iterator[Case]:
    """Kinds that people write for themselves."""
    for name, (make, inputs) in people_models().items():
        if not done(name):
            yield name, make, inputs


def transformers(done: Done) -> Iterator[Case]:
    """Classes of transformers in tiny configurations."""
    yield from (case for case in _transformers() if not done(case[0]))


def _transformers() -> Iterator[Case]:
    # They read images by torchvision where there is one.
    without_its_operations()
    import transformers as hf

    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 40}
    wide = {**small, "intermediate_size": 24}
    text = {
        "input_ids": torch.arange(6)[None] + 3, "attention_mask": torch.ones(1, 6, dtype=torch.long)
    }  # fmt: skip
    ids = {"input_ids": text["input_ids"]}
    image = {"pixel_values": torch.randn(1, 3, 16, 16)}
    patches = {"image_size": 16, "patch_size": 8}
    for name in ("Bert", "Roberta", "Electra"):
        yield _hf(hf, name, "ForSequenceClassification", wide, text)
    yield _hf(hf, "Albert", "ForSequenceClassification", {**wide, "embedding_size": 8}, text)
    distil = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "vocab_size": 40}
    yield _hf(hf, "DistilBert", "ForSequenceClassification", distil, text)
    gpt = {"n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": 40, "use_cache": False}
    yield _hf(hf, "GPT2", "LMHeadModel", gpt, ids)
    yield _hf(hf, "GPTNeoX", "ForCausalLM", {**wide, "use_cache": False}, ids)
    opt = {**small, "ffn_dim": 24, "word_embed_proj_dim": 16, "use_cache": False}
    yield _hf(hf, "OPT", "ForCausalLM", opt, text)
    grouped = {**wide, "num_key_value_heads": 1, "head_dim": 8, "use_cache": False}
    for name in ("Llama", "Mistral", "Qwen2", "Gemma"):
        yield _hf(hf, name, "ForCausalLM", grouped, ids)
    experts = {**grouped, "num_local_experts": 2}
    yield _hf(hf, "Mixtral", "ForCausalLM", experts, ids)
    mamba = {"hidden_size": 8, "state_size": 4, "num_hidden_layers": 1, "vocab_size": 40,
             "use_cache": False}  # fmt: skip
    yield _hf(hf, "Mamba", "ForCausalLM", mamba, ids)
    t5 = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 1, "num_heads": 2, "vocab_size": 40,
          "use_cache": False}  # fmt: skip
    yield _hf(hf, "T5", "EncoderModel", t5, text)
    both = {**text, "decoder_input_ids": torch.arange(4)[None]}
    yield _hf(hf, "T5", "ForConditionalGeneration", t5, both)
    vision = {**wide, **patches}
    vision.pop("vocab_size")
    for name in ("ViT", "DeiT", "Dinov2"):
        yield _hf(hf, name, "ForImageClassification", vision, image)
    swin = {"image_size": 16, "patch_size": 2, "embed_dim": 8, "depths": [2, 2],
            "num_heads": [1, 2], "window_size": 4}  # fmt: skip
    yield _hf(hf, "Swin", "ForImageClassification", swin, image)
    nets = {"hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1]}
    yield _hf(
        hf, "ConvNext", "ForImageClassification", nets, {"pixel_values": torch.randn(1, 3, 32, 32)}
    )
    yield _hf(hf, "ResNet", "ForImageClassification", {**nets, "embedding_size": 8}, image)
    segments = {"hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1],
                "num_attention_heads": [1, 1, 1, 1], "decoder_hidden_size": 8}  # fmt: skip
    yield _hf(
        hf,
        "Segformer",
        "ForSemanticSegmentation",
        segments,
        {"pixel_values": torch.randn(1, 3, 32, 32)},
    )
    speech = {**wide, "conv_dim": [8, 8], "conv_kernel": [4, 3], "conv_stride": [2, 2],
              "num_feat_extract_layers": 2, "num_conv_pos_embeddings": 4,
              "num_conv_pos_embedding_groups": 2}  # fmt: skip
    yield _hf(hf, "Wav2Vec2", "Model", speech, {"input_values": torch.randn(1, 60)})


def _hf(hf: Any, name: str, kind: str, settings: dict[str, Any], inputs: Any) -> Case:
    def make() -> nn.Module:
        config = getattr(hf, f"{name}Config")(**settings)
        return getattr(hf, f"{name}{kind}")(config)

    return f"{name}{kind}", make, inputs


def torchvision(done: Done) -> Iterator[Case]:
    """All classifiers of torchvision."""
    without_its_operations()
    from torchvision import models

    sizes = {"inception_v3": 96, "maxvit_t": 224, "vit_h_14": 56}
    names = models.list_models(module=models)
    # The few that take as long as all the others come last.
    for name in sorted(names, key=_LARGE.__contains__):
        if done(name):
            continue
        size = sizes.get(name, 64)
        settings = {"image_size": size} if name.startswith("vit") else {}
        yield name, partial(models.get_model, name, weights=None, **settings), size


_LARGE = ("regnet_y_128gf", "vit_h_14", "regnet_y_32gf", "regnet_x_32gf", "vit_l_16", "vit_l_32",
          "convnext_large")  # fmt: skip

_TIMM = """
bat_resnext26ts beit_base_patch16_224 botnet26t_256 caformer_s18 cait_xxs24_224 coat_lite_tiny
coatnet_nano_rw_224 convit_tiny convmixer_768_32 convnextv2_atto crossvit_tiny_240 cs3darknet_s
davit_tiny deit_tiny_patch16_224 dla46_c dpn48b eca_halonext26ts edgenext_xx_small
efficientformer_l1 efficientnet_b0 efficientvit_b0 ese_vovnet19b_dw fastvit_t8 focalnet_tiny_srf
gcvit_xxtiny ghostnetv2_100 gmlp_ti16_224 hrnet_w18_small inception_next_atto lambda_resnet26t
levit_128s mambaout_femto mixer_s32_224 mobileone_s0 mobilevit_xxs mvitv2_tiny nest_tiny
nf_ecaresnet26 pit_ti_224 poolformer_s12 pvt_v2_b0 regnetz_005 res2net50_14w_8s resnest14d
rexnet_100 sequencer2d_s swinv2_tiny_window8_256 tnt_s_patch16_224 twins_svt_small
xcit_nano_12_p16_224
"""


def timm(done: Done) -> Iterator[Case]:
    """Fifty varied classifiers of timm, small ones of families that differ."""
    without_its_operations()

    def make(name: str, size: int) -> nn.Module:
        import timm as library

        try:
            return library.create_model(name, pretrained=False, img_size=size)
        except TypeError:
            # Networks that take any size are not told it.
            return library.create_model(name, pretrained=False)

    for name in _TIMM.split():
        if not done(name):
            size = _smallest(partial(make, name))
            yield name, partial(make, name, size), size


def _smallest(make: Callable[[int], nn.Module]) -> int:
    """The first size at which a network can be called."""
    for size in (64, 128, 224, 240):
        try:
            with torch.no_grad():
                make(size).eval()(torch.zeros(1, 3, size, size))
        except Exception:
            continue
        return size
    return 256


GROUPS = {"people": people, "transformers": transformers, "timm": timm, "torchvision": torchvision}
