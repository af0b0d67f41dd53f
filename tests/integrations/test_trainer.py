import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

transformers: Any = pytest.importorskip("transformers")
accelerate: Any = pytest.importorskip("accelerate")

from prunelimits import pruners  # noqa: E402
from prunelimits.integrations.trainer import PruningCallback  # noqa: E402
from prunelimits.masks import count, make_permanent  # noqa: E402
from prunelimits.sessions import attach  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


def gpt() -> Any:
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=20, n_positions=12, n_embd=8, n_layer=2, n_head=2, resid_pdrop=0.0,
        embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config)


def rows(number: int = 24) -> list[dict[str, Any]]:
    ids = torch.randint(20, (number, 12), generator=torch.Generator().manual_seed(0))
    return [{"input_ids": row, "labels": row} for row in ids]


def nonzeros(model: nn.Module, masks: dict[str, Any]) -> int:
    return sum(int(model.get_parameter(name).count_nonzero()) for name in masks)


def trainer(model: Any, callback: Any, folder: Path, **more: Any) -> Any:
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=4, num_train_epochs=2, report_to=[],
        use_cpu=True, disable_tqdm=True, seed=0,
        **{"learning_rate": 1e-3, **more},
    )  # fmt: skip
    return transformers.Trainer(
        model=model, args=arguments, train_dataset=rows(), eval_dataset=rows(8),
        callbacks=[callback],
    )  # fmt: skip


def test_what_multiplies_in_a_gpt_is_pruned_and_the_positions_are_not():
    told = pruners.coverage(gpt())
    assert set(told.left_out) == {"transformer.wpe.weight"}
    kinds = {name.split(".")[-2] for name in told.pruned}
    assert kinds == {"wte", "c_attn", "c_proj", "c_fc"}  # the head is tied to wte


@pytest.mark.parametrize("pruner", [pruners.SNIP(), pruners.GraSP(), pruners.SynFlow(rounds=2)])
def test_batches_by_name_score_a_gpt(pruner: Any):
    def loss(outputs: Any, batch: Any) -> Any:
        logits = outputs.logits[:, :-1].flatten(0, 1)
        return torch.nn.functional.cross_entropy(logits, batch["labels"][:, 1:].flatten())

    ids = torch.stack([row["input_ids"] for row in rows()])
    batches = [{"input_ids": ids[:8], "labels": ids[:8]}]
    if isinstance(pruner, pruners.SynFlow):
        batches = [{"input_ids": ids[:8]}]
    masks = pruners.prune(gpt(), pruner, keep=500, loss=loss, batches=batches)
    assert count(masks) == 500


def test_the_trainer_prunes_to_the_budget_and_holds_it(tmp_path: Path):
    model, callback = gpt(), PruningCallback(pruners.GMP(rounds=4), keep=300)
    trainer(model, callback, tmp_path).train()
    assert count(callback.session.masks) == 300 == nonzeros(model, callback.session.masks)


def test_a_training_goes_on_from_its_checkpoint(tmp_path: Path):
    whole = gpt()
    trainer(whole, PruningCallback(pruners.GMP(rounds=4), keep=300), tmp_path / "a").train()
    first = gpt()
    folder = tmp_path / "b"
    trainer(first, PruningCallback(pruners.GMP(rounds=4), keep=300), folder, save_steps=6).train()
    rest, callback = gpt(), PruningCallback(pruners.GMP(rounds=4), keep=300)
    trainer(rest, callback, folder, save_steps=6).train(
        resume_from_checkpoint=str(folder / "checkpoint-6")
    )
    assert nonzeros(rest, callback.session.masks) == 300
    for name, value in whole.named_parameters():
        torch.testing.assert_close(rest.get_parameter(name), value)


def test_it_takes_what_attach_takes():
    given = inspect.signature(attach).parameters
    taken = inspect.signature(PruningCallback).parameters
    assert list(taken) == [n for n in given if n not in ("model", "optimizer", "resume")]


def test_what_is_pruned_already_stays_pruned(tmp_path: Path):
    model = gpt()
    first = pruners.prune(model, pruners.Magnitude(), keep=600)
    make_permanent(model, first)
    callback = PruningCallback(pruners.GMP(rounds=4), keep=300, masks=first)
    trainer(model, callback, tmp_path).train()
    assert nonzeros(model, callback.session.masks) == 300
    assert not any((m & ~first[n]).any() for n, m in callback.session.masks.items())


def test_the_end_is_enforced_where_the_best_model_is_loaded_again(tmp_path: Path):
    """The best of the checkpoints is the first, which is dense: later steps only make it worse."""
    more = {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 2,
            "save_steps": 2, "learning_rate": 1.0}  # fmt: skip
    model, callback = gpt(), PruningCallback(pruners.GMP(rounds=4), keep=300)
    trainer(model, callback, tmp_path, **more).train()
    assert nonzeros(model, callback.session.masks) == 300


def test_a_checkpoint_without_a_session_is_refused(tmp_path: Path):
    trainer(gpt(), transformers.PrinterCallback(), tmp_path, save_steps=6).train()
    callback = PruningCallback(pruners.GMP(rounds=4), keep=300)
    with pytest.raises(FileNotFoundError, match=r"pruning\.pt is not there: the checkpoint"):
        trainer(gpt(), callback, tmp_path, save_steps=6).train(
            resume_from_checkpoint=str(tmp_path / "checkpoint-6")
        )


def test_an_optimizer_of_accelerate_stands_for_the_one_inside():
    model = gpt()
    accelerator = accelerate.Accelerator(cpu=True)
    model, optimizer = accelerator.prepare(model, torch.optim.AdamW(model.parameters(), lr=1e-3))
    ids = torch.stack([row["input_ids"] for row in rows()])
    with attach(pruners.GMP(rounds=3), model, optimizer, keep=300, steps=6) as session:
        for _ in range(6):
            optimizer.zero_grad()
            accelerator.backward(model(input_ids=ids, labels=ids).loss)
            optimizer.step()
    assert nonzeros(model, session.masks) == 300
