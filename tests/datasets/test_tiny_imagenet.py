from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from prunelimits.datasets import tiny_imagenet

Image = pytest.importorskip("PIL.Image")

MEAN, DEVIATION = (0.4802, 0.4481, 0.3975), (0.2302, 0.2265, 0.2262)
COLOURS = {"n02": (200, 100, 50), "n01": (0, 0, 0), "n03": (255, 255, 255)}


def save(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (64, 64)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, "JPEG", quality=100, subsampling=0)


def write(root: Path) -> None:
    """Two training images a class, the second one grey; three validation images, one a class."""
    root.mkdir(exist_ok=True)
    (root / "wnids.txt").write_text("".join(f"{name}\n" for name in COLOURS))
    lines = []
    for number, (name, colour) in enumerate(COLOURS.items()):
        save(root / "train" / name / "images" / f"{name}_0.JPEG", colour)
        grey = root / "train" / name / "images" / f"{name}_1.JPEG"
        Image.new("L", (64, 64), 128).save(grey, "JPEG", quality=100)
        save(root / "val" / "images" / f"val_{number}.JPEG", colour)
        lines.append(f"val_{number}.JPEG\t{name}\t0\t0\t63\t63\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))


def expected(colour: tuple[int, int, int]) -> list[float]:
    zipped = zip(colour, MEAN, DEVIATION, strict=True)
    return [(value / 255 - mean) / deviation for value, mean, deviation in zipped]


# A step of 1 in a pixel: what JPEG may change.
STEP = 1.01 / 255 / min(DEVIATION)


@pytest.mark.parametrize("place", ["", "tiny-imagenet-200"])
def test_what_was_written_is_read(tmp_path: Path, place: str) -> None:
    write(tmp_path / place)
    x, y = tiny_imagenet(tmp_path)
    assert x.shape == (6, 3, 64, 64)
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    # Classes are numbered in the order of their names.
    assert y.tolist() == [0, 0, 1, 1, 2, 2]
    for image, name in ((0, "n01"), (2, "n02"), (4, "n03")):
        assert x[image, :, 10, 20].tolist() == pytest.approx(expected(COLOURS[name]), abs=STEP)
    assert x[1, :, 0, 0].tolist() == pytest.approx(expected((128, 128, 128)), abs=STEP)
    x, y = tiny_imagenet(tmp_path, train=False)
    assert (x.shape, y.tolist()) == ((3, 3, 64, 64), [1, 0, 2])
    for image, colour in zip(x, COLOURS.values(), strict=True):
        assert image[:, 63, 0].tolist() == pytest.approx(expected(colour), abs=STEP)


def test_rows_and_columns_are_not_exchanged(tmp_path: Path) -> None:
    write(tmp_path)
    image = Image.new("RGB", (64, 64))
    image.paste((255, 255, 255), (0, 0, 64, 32))
    image.save(tmp_path / "train/n01/images/n01_0.JPEG", "JPEG", quality=100)
    x, _ = tiny_imagenet(tmp_path)
    assert float(x[0, :, :30].min()) > 2
    assert float(x[0, :, 34:].max()) < -1.7


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"must hold one of wnids.txt, tiny-imagenet-200/wnids.txt"
    ):
        tiny_imagenet(tmp_path)
    write(tmp_path)
    (tmp_path / "val/val_annotations.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"val/val_annotations\.txt"):
        tiny_imagenet(tmp_path, train=False)
    for image in (tmp_path / "train/n03/images").iterdir():
        image.unlink()
    with pytest.raises(FileNotFoundError, match=r"train/n03/images/\*\.JPEG"):
        tiny_imagenet(tmp_path)
    (tmp_path / "train/n02/images").rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match="train/n02/images"):
        tiny_imagenet(tmp_path)


@pytest.mark.parametrize("line", ["val_0.JPEG", "val_0.JPEG\tn99\t0", "../x.JPEG\tn01\t0", ""])
def test_wrong_annotations_are_refused(tmp_path: Path, line: str) -> None:
    write(tmp_path)
    (tmp_path / "val/val_annotations.txt").write_text(f"{line}\n")
    with pytest.raises(ValueError, match="an image and its class a line, got"):
        tiny_imagenet(tmp_path, train=False)


def test_wrong_images_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "val/images/val_1.JPEG"
    save(path, (0, 0, 0), (64, 63))
    with pytest.raises(ValueError, match=r"val_1.JPEG must be a JPEG .*size is \(64, 63\)"):
        tiny_imagenet(tmp_path, train=False)
    Image.new("RGB", (64, 64)).save(path, "PNG")
    with pytest.raises(ValueError, match=r"val_1\.JPEG must be a JPEG of 64 by 64 pixels: cannot"):
        tiny_imagenet(tmp_path, train=False)
    save(path, (1, 2, 3))
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(ValueError, match=r"val_1\.JPEG must be a JPEG of 64 by 64 pixels: "):
        tiny_imagenet(tmp_path, train=False)


def test_without_pillow_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    monkeypatch.setitem(sys.modules, "PIL", None)  # as if it were not there
    with pytest.raises(ImportError, match=r"Pillow: pip install \"prunelimits\[data\]\""):
        tiny_imagenet(tmp_path)
