"""A page under hand: pruning, dragging, undoing, by pointer and by keyboard."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

import prunelimits as pl
from prunelimits.exchange import from_json, to_json
from prunelimits.types import Masks
from prunelimits.viz.pages import Page, playground

RESULTS = Path(__file__).parents[2] / "docs" / "results"
EDGE = "#view-0-edge-2-0-1"
WEIGHT = ("layers.1.weight", (0, 1))
SVG = "{http://www.w3.org/2000/svg}"

# A point of the screen where a click meets this part and no other that lies over it.
TOUCHABLE = """part => {
  part.scrollIntoView({ block: "center" });
  const line = part.querySelector(".hit") ?? part;
  if (!line.getPointAtLength) {
    const { x, y, width, height } = part.getBoundingClientRect();
    return [x + width / 2, y + height / 4];
  }
  const matrix = line.getScreenCTM();
  for (let share = 0.02; share < 1; share += 0.02) {
    const { x, y } = line.getPointAtLength(share * line.getTotalLength()).matrixTransform(matrix);
    if (document.elementFromPoint(x, y) === line) return [x, y];
  }
  return null;
}"""


@pytest.fixture(scope="module")
def found() -> tuple[pl.MLP, Masks]:
    return pl.load(RESULTS / "widths-2-3-2-2-1-at-95.pt")


@pytest.fixture(scope="module")
def page(found: tuple[pl.MLP, Masks]) -> Page:
    return playground(*found, pl.datasets.cubist_spiral(), title="24 nonzeros")


@pytest.fixture
def tab(open_page: Callable, page: Page):
    return open_page(page)


def correct(model: pl.MLP, masks: Masks) -> int:
    """Samples classified right, by PyTorch in float64; none may lie on the boundary."""
    right, close = judged(model, masks)
    assert close == 0
    return right


def judged(model: pl.MLP, masks: Masks) -> tuple[int, int]:
    """Samples classified right, and samples so near the boundary that float32 may differ."""
    x, y = pl.datasets.cubist_spiral()
    params = pl.masks.apply(dict(model.named_parameters()), masks)
    double = pl.MLP.from_params(model.widths, {n: p.double() for n, p in params.items()})
    with torch.no_grad():
        logits = double(x.double())[:, 0]
    return int(((logits > 0) == (y == 1)).sum()), int((logits.abs() < 1e-4).sum())


def shown(tab) -> int:
    title = tab.locator("[data-count=accuracy]").get_attribute("title")
    return int(title.split(" of ")[0].replace(",", ""))


def count(tab, name: str) -> str:
    return tab.locator(f"[data-count={name}] .value").inner_text()


def press(tab, action: str) -> None:
    tab.locator(f"[data-action={action}]").click()


def drag(tab, selector: str, up: float) -> None:
    x, y = tab.locator(selector).evaluate(TOUCHABLE)
    tab.mouse.move(x, y)
    tab.mouse.down()
    for part in range(1, 5):
        tab.mouse.move(x, y - up * part / 4)
    tab.mouse.up()


def download(tab, action: str, folder: Path) -> Path:
    with tab.expect_download() as waiting:
        press(tab, action)
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def network(tab, folder: Path) -> tuple[pl.MLP, Masks]:
    """The network as it stands on the page, through its download."""
    path = download(tab, "json", folder)
    return from_json(path.read_text(), path.name)


def test_a_click_prunes_and_undo_restores(tab, rest: Callable, found, tmp_path: Path):
    model, masks = found
    before = correct(model, masks)
    assert shown(tab) == before
    assert count(tab, "nonzeros") == count(tab, "effective") == "24"
    less = {name: mask.clone() for name, mask in masks.items()}
    less[WEIGHT[0]][WEIGHT[1]] = False
    after = correct(model, less)
    assert after != before
    for _ in range(2):
        tab.mouse.click(*tab.locator(EDGE).evaluate(TOUCHABLE))
        rest(tab)
        assert (count(tab, "nonzeros"), shown(tab)) == ("23", after)
        assert tab.locator(EDGE).get_attribute("data-state") == "pruned"
        press(tab, "undo")
        rest(tab)
        assert (count(tab, "nonzeros"), shown(tab)) == ("24", before)
    press(tab, "redo")
    rest(tab)
    assert shown(tab) == after
    _, downloaded = network(tab, tmp_path)
    assert all(torch.equal(downloaded[name], less[name]) for name in less)
    # Another click brings it back.
    tab.mouse.click(*tab.locator(EDGE).evaluate(TOUCHABLE))
    rest(tab)
    assert shown(tab) == before
    press(tab, "reset")
    assert tab.locator("[data-action=undo]").get_attribute("aria-disabled") == "false"


@pytest.mark.parametrize(
    ("selector", "name", "index"),
    [(EDGE, *WEIGHT), ("#view-0-bias-2-0", "layers.1.bias", 0)],
    ids=["weight", "bias"],
)
def test_a_drag_changes_a_value(
    tab, rest: Callable, found, tmp_path: Path, selector: str, name: str, index: object
):
    model, masks = found
    drag(tab, selector, up=40)
    rest(tab)
    changed, kept = network(tab, tmp_path)
    for parameter, value in changed.named_parameters():
        was = model.get_parameter(parameter)
        assert torch.equal(value != was, torch.zeros_like(was, dtype=torch.bool)) != (
            parameter == name
        )
    assert changed.get_parameter(name)[index] > model.get_parameter(name)[index] + 0.1
    right, close = judged(changed, kept)
    assert close < 5
    assert shown(tab) == pytest.approx(right, abs=close)
    assert count(tab, "nonzeros") == "24"
    press(tab, "undo")
    rest(tab)
    assert shown(tab) == correct(model, masks)


def test_json_round_trips(tab, found, tmp_path: Path):
    model, masks = found
    path = download(tab, "json", tmp_path)
    assert path.name == "24-nonzeros.json"
    again, read = from_json(path.read_text(), path.name)
    assert again.widths == model.widths
    for name, value in model.named_parameters():
        assert torch.equal(again.get_parameter(name), value)
    assert all(torch.equal(read[name], masks[name]) for name in masks)


def test_a_json_file_is_opened(tab, rest: Callable, tmp_path: Path):
    other, masks = pl.load(RESULTS / "appendix-d-at-995.pt")
    path = tmp_path / "other.json"
    path.write_text(to_json(other, masks))
    tab.locator("#file").set_input_files(path)
    tab.wait_for_function(
        "() => document.querySelector('.view .label').textContent === 'other.json'"
    )
    rest(tab)
    assert count(tab, "nonzeros") == "46"
    assert shown(tab) == correct(other, masks)


def edited_json(**changes: object) -> str:
    model = pl.MLP((2, 3, 1))
    return json.dumps(json.loads(to_json(model, None)) | changes)


BAD_FILES = [
    ("{", "this file is not JSON"),
    ("[1]", "this file is no network of prunelimits"),
    (edited_json(version=7), "version 7"),
    (edited_json(widths=[2, 4, 1]), "layers.0.weight must have 8 numbers, got 6"),
    (edited_json(masks={"layers.0.bias": [True]}), "must have 3 entries, got 1"),
    (edited_json().replace("], [", ", NaN], [", 1), "not JSON"),
    (edited_json(widths=[2]), "two or more"),
    (to_json(pl.MLP((3, 2, 1)), None), "need 2 inputs and 1 outputs"),
    (to_json(pl.MLP((2, 1)), None).replace("[[", '[["x", ', 1), "must have 2 numbers, got 3"),
]


def test_bad_files_are_refused_and_what_is_open_stays(tab, rest: Callable, tmp_path: Path):
    alert = tab.locator("#message")
    for number, (text, message) in enumerate(BAD_FILES):
        path = tmp_path / f"bad-{number}.json"
        path.write_text(text)
        tab.locator("#file").set_input_files(path)
        tab.get_by_text(f"{path.name}: ").wait_for()
        assert message in alert.inner_text()
        rest(tab)
        assert count(tab, "nonzeros") == "24"
    not_finite = json.loads(edited_json())
    not_finite["parameters"]["layers.0.bias"][1] = 1e99
    path = tmp_path / "infinite.json"
    path.write_text(json.dumps(not_finite))
    tab.locator("#file").set_input_files(path)
    tab.get_by_text(f"{path.name}: ").wait_for()
    assert "parameters must be finite, layers.0.bias[1] is Infinity" in alert.inner_text()


def test_a_network_is_taken_apart(tab, rest: Callable, found, tmp_path: Path):
    model, masks = found
    sizes = {
        (name, index): abs(float(value))
        for name, parameter in model.named_parameters()
        if name.endswith("weight")
        for index, value in enumerate(parameter.detach().flatten())
        if masks[name].flatten()[index]
    }
    removed = sorted(sizes, key=lambda place: sizes[place])[:6]
    left = {name: mask.clone() for name, mask in masks.items()}
    for name, index in removed:
        left[name].view(-1)[index] = False
        press(tab, "weakest")
    rest(tab)
    _, kept = network(tab, tmp_path)
    assert all(torch.equal(kept[name], left[name]) for name in left)
    assert shown(tab) == correct(model, left)
    # All that leads to the output's first source is pruned: what came before is disconnected.
    for index in range(2):
        if left["layers.3.weight"][0, index]:
            tab.mouse.click(*tab.locator(f"#view-0-edge-4-0-{index}").evaluate(TOUCHABLE))
    rest(tab)
    assert count(tab, "effective") == "1"
    assert int(count(tab, "nonzeros")) > 10
    accuracy = shown(tab)
    press(tab, "disconnected")
    rest(tab)
    assert (count(tab, "nonzeros"), shown(tab)) == ("1", accuracy)
    press(tab, "undo")
    press(tab, "reset")
    rest(tab)
    assert (count(tab, "nonzeros"), shown(tab)) == ("24", correct(model, masks))


def test_what_is_pruned_can_be_shown_and_brought_back(tab, rest: Callable, found):
    model, _ = found
    total = sum(p.numel() for n, p in model.named_parameters() if n.endswith("weight"))
    assert tab.locator(".edge").count() == 16
    press(tab, "everything")
    rest(tab)
    assert tab.locator(".edge").count() == total
    pruned = tab.locator(".edge[data-state=pruned]").first
    pruned.focus()
    tab.keyboard.press("Enter")
    rest(tab)
    assert count(tab, "nonzeros") == "25"


def test_a_unit_under_the_pointer_is_large_and_its_edges_lit(tab, rest: Callable):
    caption = tab.locator(".region figcaption")
    assert caption.inner_text() == "Decision region"
    tab.locator("#view-0-unit-2-1").hover()
    rest(tab)
    assert caption.inner_text().startswith("Layer 2, unit 2")
    lit = tab.locator(".edge.lit").evaluate_all("edges => edges.map((edge) => edge.id)")
    assert lit
    assert all("-edge-2-1-" in name or (name.endswith("-1") and "-edge-3-" in name) for name in lit)
    same = tab.evaluate("""() => {
      const data = (canvas) => canvas.getContext("2d").getImageData(0, 0, 256, 256).data.join();
      const unit = document.querySelector("#view-0-unit-2-1 canvas");
      return data(unit) === data(document.querySelector(".shade"));
    }""")
    assert same
    tab.mouse.move(5, 5)
    rest(tab)
    assert caption.inner_text() == "Decision region"
    assert tab.locator(".edge.lit").count() == 0


def test_all_can_be_done_by_keyboard(tab, rest: Callable, found):
    model, masks = found
    tab.locator("#view-0-unit-0-0").focus()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowDown")
    name = tab.evaluate("document.activeElement.getAttribute('aria-label')")
    assert name.startswith("Layer 2, unit ")
    tab.keyboard.press("Enter")
    rest(tab)
    heading = tab.locator(".inspector h3").inner_text()
    assert heading == name
    tab.locator(".edge[tabindex='0']").focus()
    for _ in range(3):
        tab.keyboard.press("ArrowDown")
    label = tab.evaluate("document.activeElement.getAttribute('aria-label')")
    tab.keyboard.press(" ")
    rest(tab)
    assert count(tab, "nonzeros") == "23"
    pruned = tab.evaluate("document.activeElement.getAttribute('aria-label')")
    assert pruned == f"{label}, pruned"
    assert tab.evaluate("document.activeElement.getAttribute('aria-pressed')") == "false"
    heard = tab.locator("#announcement").inner_text()
    assert heard.startswith("Pruned. ")
    assert "23 nonzeros" in heard
    tab.keyboard.press("Control+z")
    rest(tab)
    assert count(tab, "nonzeros") == "24"
    tab.keyboard.press("+")
    rest(tab)
    assert shown(tab) != 0
    assert tab.evaluate("document.activeElement.getAttribute('aria-label')") != label
    tab.keyboard.press("Control+z")
    rest(tab)
    assert shown(tab) == correct(model, masks)


def test_exact_values_are_typed_into_the_table(tab, rest: Callable, found, tmp_path: Path):
    tab.locator("#view-0-unit-2-0").click()
    rest(tab)
    row = tab.locator(".inspector tr", has_text="layers.1.weight[0, 1]")
    row.locator("input[type=number]").fill("1.25")
    row.locator("input[type=number]").press("Tab")
    row.locator("input[type=checkbox]").uncheck()
    rest(tab)
    model, masks = network(tab, tmp_path)
    assert float(model.get_parameter(WEIGHT[0])[WEIGHT[1]].detach()) == 1.25
    assert not masks[WEIGHT[0]][WEIGHT[1]]
    assert row.locator(".state").inner_text() == "pruned"
    bias = tab.locator(".inspector tr", has_text="layers.1.bias[0]").locator("input[type=number]")
    bias.fill("0")
    bias.press("Tab")
    rest(tab)
    assert count(tab, "nonzeros") == "22"
    model, masks = network(tab, tmp_path)
    # A zero is not pruned: it stays in the masks.
    assert (
        float(model.get_parameter("layers.1.bias")[0].detach()),
        bool(masks["layers.1.bias"][0]),
    ) == (0, True)
    was = bias.input_value()
    bias.fill("1e99")
    bias.press("Tab")
    assert bias.input_value() == was
    assert "finite" in tab.locator("#message").inner_text()


def test_every_control_has_a_name(tab):
    press(tab, "everything")
    tab.locator("#view-0-unit-1-0").click()
    nameless = tab.evaluate("""() => [
        ...document.querySelectorAll("button, input, select, [role=button]")
      ]
      .filter((node) => node.offsetParent !== null || node.ownerSVGElement)
      .filter((node) => !(node.getAttribute("aria-label") || node.textContent.trim() ||
        node.closest("label")?.textContent.trim()))
      .map((node) => node.outerHTML.slice(0, 80))""")
    assert nameless == []
    # One stop each for the units and the weights; arrow keys do the rest.
    assert tab.locator(".unit[tabindex='0'], .chip[tabindex='0']").count() == 1
    assert tab.locator(".edge[tabindex='0']").count() == 1


def test_the_picture_is_saved_as_svg(tab, found, tmp_path: Path):
    path = download(tab, "svg", tmp_path)
    root = ElementTree.parse(path).getroot()
    assert root.tag == f"{SVG}svg"
    names = {node.get("id") for node in root.iter() if node.get("id")}
    _, masks = found
    for name, mask in masks.items():
        layer = int(name.split(".")[1]) + 1
        for place in mask.nonzero().tolist():
            kind = "edge" if name.endswith("weight") else "bias"
            assert "-".join(map(str, ["view-0", kind, layer, *place])) in names
    assert len(root.findall(f".//{SVG}image")) == 2 + 3 + 2 + 2 + 1
    assert len(root.findall(f".//{SVG}circle")) == 2000
    assert "24 nonzeros" in "".join(root.itertext())
    assert "href" not in {key for node in root.iter() for key in node.attrib if "http" in key}
