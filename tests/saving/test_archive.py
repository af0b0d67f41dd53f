from __future__ import annotations

import io
import pickle
import random
import resource
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import prunelimits as pl
from prunelimits.masks import with_biases
from prunelimits.saving import from_bytes, read_archive, to_bytes

WIDTHS = (2, 5, 3, 1)


def saved(value: object, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def network_content() -> bytes:
    generator = torch.Generator().manual_seed(0)
    model = pl.MLP(WIDTHS)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    weights = {n: p.abs() > 0.5 for n, p in model.named_parameters() if n.endswith("weight")}
    return to_bytes(model, with_biases(weights))


def archive(pickled: bytes, storages: dict[str, bytes], compression: int = zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        file.writestr("archive/data.pkl", pickled)
        file.writestr("archive/byteorder", sys.byteorder)
        for name, data in storages.items():
            file.writestr(f"archive/data/{name}", data)
        file.writestr("archive/version", "3\n")
    return buffer.getvalue()


TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
ONE_TENSOR_TEN_TIMES = b"q\1" + b"h\1" * 9 + b"e"
MANY = {str(n): torch.zeros(1) for n in range(10_000)}


class Pickled:
    """A pickle made of steps, for what `torch.save` would not write."""

    @staticmethod
    def number(value: int) -> bytes:
        return pickle.dumps(value, protocol=2)[2:-1]

    @staticmethod
    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(Pickled.number, values)) + b"t"

    @staticmethod
    def text(value: str) -> bytes:
        return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()

    @classmethod
    def tensor(
        cls,
        size: tuple[int, ...],
        stride: tuple[int, ...],
        *,
        count: int = 4,
        offset: int = 0,
        kind: str = "Float",
    ) -> bytes:
        storage = (
            b"("
            + cls.text("storage")
            + f"ctorch\n{kind}Storage\n".encode()
            + cls.text("0")
            + cls.text("cpu")
            + cls.number(count)
            + b"tQ"
        )
        places = cls.number(offset) + cls.numbers(size) + cls.numbers(stride)
        return TENSOR + b"(" + storage + places + b"\x89" + b"ccollections\nOrderedDict\n)R" + b"tR"

    @classmethod
    def whole(cls, body: bytes) -> bytes:
        return archive(b"\x80\x02" + body + b".", {"0": bytes(16)})


@contextmanager
def bounded(seconds: float, megabytes: int) -> Iterator[None]:
    """Fails where a block takes long or much memory; bounds far above what is needed."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    yield
    assert time.process_time() - began < seconds
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1000 * megabytes


def same(left: object, right: object) -> bool:
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        return left.dtype == right.dtype and left.shape == right.shape and left.equal(right)
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same(left[n], right[n]) for n in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return type(left) is type(right) and all(map(same, left, right)) and len(left) == len(right)
    return type(left) is type(right) and left == right


def test_what_torch_saves_is_what_torch_loads():
    dtypes = [
        torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16,
        torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128,
        torch.uint16, torch.float8_e4m3fn, torch.float8_e5m2,
    ]  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(4, 5, 6, generator=generator)
    widths = (2, 3, 1)
    content = {
        "plain": [None, True, False, 0, -1, 255, 2**40, -(2**70), 0.5, float("inf"), "é", ""],
        "nested": {"a": (1, (2,), []), "b": {}, "c": [{}, {"d": ((), 1, 2, 3)}]},
        "tensors": {str(dtype): (10 * base).to(dtype) for dtype in dtypes},
        "views": [base.mT.clone(), base[1:3, ::2, 1], base[0, 0, 0].clone(), base[:0].clone()],
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "shared": [widths, widths, {"again": widths}],
        7: "a key that is a number",
    }
    written = saved(content)
    loaded = read_archive(written, "file")
    expected = torch.load(io.BytesIO(written), weights_only=True)
    assert isinstance(loaded, dict)
    parameter = expected.pop("parameter")
    assert loaded.pop("parameter").equal(parameter)
    assert same(loaded, expected)


def test_a_state_dict_is_a_plain_dict_of_tensors():
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    loaded = read_archive(saved(model.state_dict()), "file")
    assert same(loaded, dict(model.state_dict()))


def test_loaded_tensors_may_be_changed_without_changing_each_other():
    loaded: Any = read_archive(saved({"a": torch.zeros(3), "b": torch.zeros(3)}), "file")
    loaded["a"] += 1
    assert loaded["b"].tolist() == [0, 0, 0]


def test_every_flipped_bit_of_a_weight_is_told():
    content = network_content()
    model, _ = from_bytes(content, "net.pt")
    flips = 0
    for parameter in model.parameters():
        data = parameter.detach().numpy().tobytes()
        assert content.count(data) == 1
        begin = content.index(data)
        for place in range(begin, begin + len(data)):
            for bit in range(8):
                damaged = bytearray(content)
                damaged[place] ^= 1 << bit
                flips += 1
                with pytest.raises(ValueError, match=r"net\.pt is damaged"):
                    from_bytes(bytes(damaged), "net.pt")
    assert flips == 8 * 4 * sum(p.numel() for p in model.parameters())


def test_a_flipped_bit_anywhere_is_told_or_changes_nothing():
    content = network_content()
    model, masks = from_bytes(content, "net.pt")
    chance = random.Random(0)
    told = 0
    for _ in range(1500):
        damaged = bytearray(content)
        damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        try:
            again, masks_again = from_bytes(bytes(damaged), "net.pt")
        except ValueError as error:
            assert "net.pt is" in str(error)  # noqa: PT017
            told += 1
        else:
            assert again.widths == WIDTHS
            assert same(dict(again.state_dict()), dict(model.state_dict()))
            assert same(masks_again, masks)
    assert told > 500


@pytest.mark.slow
@pytest.mark.parametrize(
    "pickled",
    [
        pytest.param(Pickled.tensor((500_000_000,), (0,)), id="stride 0"),
        pytest.param(Pickled.tensor((2, 500_000_000), (1, 0)), id="stride 0 beside another"),
        pytest.param(Pickled.tensor((3, 3), (1, 1)), id="overlapping strides"),
        pytest.param(Pickled.tensor((10**13,), (1,)), id="40 TB"),
        pytest.param(Pickled.tensor((10**13,), (1,), count=10**13), id="40 TB declared"),
        pytest.param(Pickled.tensor((4,), (1,), count=10**30), id="more than fits a number"),
        pytest.param(Pickled.tensor((10**30,), (1,)), id="a size that fits no number"),
        pytest.param(Pickled.tensor((0, 10**30), (1, 1)), id="empty, of a huge size"),
        pytest.param(Pickled.tensor((4,), (1,), offset=1), id="beyond the storage's end"),
        pytest.param(Pickled.tensor((4,), (1,), offset=-1), id="before the storage's begin"),
        pytest.param(Pickled.tensor((4,), (-1,)), id="backwards"),
        pytest.param(Pickled.tensor((-4,), (1,)), id="a negative size"),
        pytest.param(Pickled.tensor((4,), (1, 1)), id="one stride too many"),
        pytest.param(Pickled.tensor((1,) * 100, (1,) * 100), id="100 axes"),
        pytest.param(Pickled.tensor((4,), (1,), kind="Quint8"), id="quantised"),
        pytest.param(Pickled.tensor((4,), (1,), count=3), id="another count"),
        pytest.param(b"]" + b"(" + Pickled.tensor((4,), (1,)) * 3 + b"e", id="shared storage"),
        pytest.param(b"](" + Pickled.tensor((4,), (1,)) + ONE_TENSOR_TEN_TIMES, id="shared"),
        pytest.param(b"cbuiltins\nbytearray\n" + b"(J\0\0\0\x40tR", id="a call that takes memory"),
        pytest.param(b"cos\nsystem\n(X\4\0\0\0true" + b"tR", id="a call"),
        pytest.param(b"cos\nsystem\n", id="a name"),
        pytest.param(b"]" * 200_000 + b"a" * 199_999, id="nested deeply"),
        pytest.param(b"(" * 500_000, id="begun and not ended"),
        pytest.param(b"r\xff\xff\xff\x7f", id="a memo of 2 billion entries"),
        pytest.param(b"B\xff\xff\xff\x7f", id="bytes that are not there"),
        pytest.param(b"]q\0h\0a", id="a list that holds itself"),
        pytest.param(b"}(ccollections\nOrderedDict\nNu", id="a name as a key"),
        pytest.param(b"}()Nu", id="a tuple as a key"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"NN", id="two things"),
        pytest.param(b"h\7", id="an unknown memo"),
        pytest.param(b"N)R", id="a call of None"),
        pytest.param(b"NQ", id="a storage that is None"),
    ],
)
def test_hostile_descriptions_are_refused_fast_and_in_little_memory(pickled: bytes):
    content = Pickled.whole(pickled)
    with bounded(5, 200), pytest.raises(ValueError, match=r"^evil\.pt is damaged or no file"):
        read_archive(content, "evil.pt")
    with pytest.raises(ValueError, match=r"^evil\.pt is"):
        from_bytes(content, "evil.pt")


def test_lists_in_lists_that_double_at_every_step_are_refused():
    # Each holds the one before twice: thirty of them would be a billion to go through.
    body = b"]q\0" + b"".join(
        b"]q" + bytes([n + 1]) + b"(h" + bytes([n]) + b"h" + bytes([n]) + b"e" for n in range(30)
    )
    # All but the last leave the stack through a list that is thrown away with them.
    with bounded(5, 200), pytest.raises(ValueError, match="evil"):
        read_archive(Pickled.whole(b"(" + body + b"t"), "evil.pt")
    with bounded(5, 200), pytest.raises(ValueError, match="evil"):
        from_bytes(Pickled.whole(b"(" + body + b"t"), "evil.pt")


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"widths": torch.ones(1_000_000, dtype=torch.int64)}, id="a tensor"),
        pytest.param({"widths": [1] * 1_000_000}, id="a long list"),
        pytest.param({"widths": [2, True, 3, 1]}, id="a bool"),
        pytest.param({"widths": [10**30] * 4}, id="huge"),
        pytest.param({"state_dict": MANY}, id="many"),
        pytest.param({"state_dict": {"x": torch.zeros(2, device="meta")}}, id="meta"),
        pytest.param({"state_dict": {"x": torch.eye(2).to_sparse()}}, id="sparse"),
        pytest.param({"state_dict": {"x": torch.zeros(2, dtype=torch.complex64)}}, id="complex"),
        pytest.param({"state_dict": {"x": torch.zeros(1).expand(5 * 10**8)}}, id="expanded"),
        pytest.param({"masks": {"layers.0.weight": torch.zeros(1).expand(5, 2)}}, id="masks"),
        pytest.param({"masks": MANY}, id="many masks"),
    ],
)
def test_hostile_networks_are_refused_fast_and_in_little_memory(change: dict[str, object]):
    content = saved({**torch.load(io.BytesIO(network_content())), **change})
    with bounded(10, 300), pytest.raises(ValueError, match=r"^evil\.pt is"):
        from_bytes(content, "evil.pt")


def test_archives_of_another_form_are_refused():
    pickled = b"\x80\x02N."
    zeros = bytes(300_000_000)
    bomb = archive(pickled, {"0": zeros}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 400_000
    del zeros
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as file:
        file.writestr("archive/data.pkl", pickled)
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("archive/data.pkl", pickled)
    two = io.BytesIO()
    with zipfile.ZipFile(two, "w") as file:
        file.writestr("a/data.pkl", pickled)
        file.writestr("b/data.pkl", pickled)
    big = archive(pickled, {}).replace(b"little", b"big\0\0\0")
    legacy = saved(torch.ones(2), _use_new_zipfile_serialization=False)
    npz = io.BytesIO()
    np.savez(npz, x=np.ones(2))
    for content in (bomb, twice.getvalue(), two.getvalue(), big, legacy, npz.getvalue()):
        with bounded(5, 100), pytest.raises(ValueError, match=r"^evil\.pt is damaged or no file"):
            read_archive(content, "evil.pt")


def test_one_piece_of_a_file_under_many_names_is_refused():
    # As in an overlapping zip bomb: every entry of the directory points at the same bytes.
    content = archive(b"\x80\x02N.", {"0": bytes(1000)})
    begin = content.index(b"PK\1\2")
    end = content.index(b"PK\5\6")
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        entry = next(i for i in file.infolist() if i.filename.endswith("data/0"))
    place = content.rindex(b"archive/data/0", begin, end) - 46
    record = content[place : place + 46 + len(entry.filename)]
    directory = content[begin:end] + record.replace(b"data/0", b"data/1") * 40
    tail = bytearray(content[end:])
    count = 4 + 40
    tail[8:12] = count.to_bytes(2, "little") * 2
    tail[12:16] = len(directory).to_bytes(4, "little")
    with pytest.raises(ValueError, match="evil"):
        read_archive(content[:begin] + directory + bytes(tail), "evil.pt")


def test_damage_of_every_kind_ends_in_one_error(tmp_path: Path):
    content = network_content()
    chance = random.Random(1)

    def somewhere() -> int:
        return chance.randrange(len(content))

    edits: list[Callable[[bytearray], object]] = [
        lambda data: data.__delitem__(slice(somewhere(), None)),
        lambda data: data.__delitem__(slice(0, chance.randrange(1, 100))),
        lambda data: data.__setitem__(slice(n := somewhere(), n + 8), bytes(8)),
        lambda data: data.__setitem__(slice(n := somewhere(), n), b"\xff" * 4),
    ]
    for _ in range(300):
        data = bytearray(content)
        chance.choice(edits)(data)
        try:
            from_bytes(bytes(data), "net.pt")
        except ValueError as error:
            assert str(error).startswith("net.pt is")  # noqa: PT017
