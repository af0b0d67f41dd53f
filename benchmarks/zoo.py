# What stands in a library of models, and is called with, is open.
# ruff: noqa: ANN401
"""Which networks connectivity follows: exact, sound or refused, and never wrong.

For every network, built from its configuration without a download and with 70 % of every matrix
pruned at random: whether all its operations are known (exact), some are assumed to do the worst
(sound), or it is refused, and why; the largest change of an output in float64 when all that is left
out is set to other numbers (must be 0 up to rounding); the seconds of the analysis; and the most
memory that the process has held so far.

Run it by `python benchmarks/zoo.py people transformers torchvision timm`, with those that are
installed. Prints a Markdown table a group.
"""

from __future__ import annotations

import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from people import models as people_models
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils import _pytree as pytree

from prunelimits.connectivity import analyze, effective_masks

Case = tuple[str, Callable[[], nn.Module], Any]


def people() -> Iterator[Case]:
    """Kinds that people write for themselves."""
    for name, (make, inputs) in people_models().items():
        yield name, make, inputs


def transformers() -> Iterator[Case]:
    """Classes of transformers in tiny configurations."""
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


def torchvision() -> Iterator[Case]:
    """All classifiers of torchvision."""
    from torchvision import models

    for name in models.list_models(module=models):
        size = 299 if name == "inception_v3" else 224
        yield (
            name,
            lambda name=name: models.get_model(name, weights=None),
            torch.randn(1, 3, size, size),
        )


def timm() -> Iterator[Case]:
    """Fifty varied classifiers of timm: one of each of its first families."""
    import timm as library

    families: dict[str, str] = {}
    for name in library.list_models():
        families.setdefault(name.split("_")[0].rstrip("0123456789"), name)
    for name in list(families.values())[:50]:
        yield (
            name,
            lambda name=name: library.create_model(name, pretrained=False),
            torch.randn(1, 3, 224, 224),
        )


def examined(make: Callable[[], nn.Module], inputs: Any) -> tuple[str, float, str]:
    """What becomes of a network, in how many seconds, and the largest change of an output."""
    torch.manual_seed(0)
    model = make().eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            drawn = torch.randn(parameter.shape, generator=generator) * 0.3
            if parameter.dim() < 2:
                parameter.copy_(drawn)
            else:
                parameter.copy_(drawn * (torch.rand(drawn.shape, generator=generator) < 0.3))
    begin = time.perf_counter()
    try:
        report = analyze(model, inputs=inputs)
    except ValueError as error:
        return f"refused: {str(error)[:200]}", time.perf_counter() - begin, ""
    seconds = time.perf_counter() - begin
    kept = effective_masks(model, inputs=inputs, keep_constants=True)
    kind = "exact" if report.exact else f"sound: {', '.join(report.unknown)}"
    try:
        changed = change(model.double(), kept, _in(torch.float64, inputs))
    except RuntimeError:
        # Some operations have no float64.
        changed = change(model.float(), kept, inputs)
    return kind, seconds, f"{changed:.1e}"


def _in(dtype: torch.dtype, inputs: Any) -> Any:
    return pytree.tree_map(
        lambda x: x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x, inputs
    )


def change(model: nn.Module, kept: dict[str, Any], inputs: Any) -> float:
    """The largest change of an output, relative to the largest output, without what is left out."""
    args = inputs if isinstance(inputs, tuple) else () if isinstance(inputs, dict) else (inputs,)
    kwargs = inputs if isinstance(inputs, dict) else {}
    params = {name: p.detach() for name, p in model.named_parameters()}
    # Other numbers, not only zeros, for what is pruned by being zero already stays so.
    others = {
        name: torch.where(kept[name] | (p == 0), p, torch.randn_like(p))
        for name, p in params.items()
    }
    with torch.no_grad():
        before, after = (
            [x for x in pytree.tree_leaves(_plain(functional_call(model, p, args, kwargs)))
             if isinstance(x, Tensor) and x.is_floating_point()]
            for p in (params, others)
        )  # fmt: skip
    return max(
        float((a - b).abs().max() / (1e-30 + a.abs().max()))
        for a, b in zip(before, after, strict=True)
    )


def _plain(outputs: Any) -> Any:
    return dict(outputs) if hasattr(outputs, "keys") else outputs


def main() -> None:
    """Prints a table for each group that is asked for."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for group in sys.argv[1:] or ["people"]:
        print(f"\n| {group} | | change | seconds | memory |\n|---|---|---:|---:|---:|")
        counts: dict[str, int] = {}
        for name, make, inputs in globals()[group]():
            try:
                kind, seconds, changed = examined(make, inputs)
            except Exception as error:
                kind, seconds, changed = f"failed: {type(error).__name__}: {error}"[:200], 0.0, ""
            wrong = changed and not float(changed) < 1e-9
            word = "wrong" if wrong else kind.split(":")[0]
            counts[word] = counts.get(word, 0) + 1
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            text = kind.replace("\n", " ").replace("|", "/")
            print(f"| {name} | {text} | {changed} | {seconds:.1f} | {peak:.1f} GB |", flush=True)
        print("\n" + ", ".join(f"{count} {word}" for word, count in counts.items()))


if __name__ == "__main__":
    main()
