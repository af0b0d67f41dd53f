"""What a network is given of a point is in the page what it is in the library."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import prunelimits as pl
from prunelimits.datasets import plane_features
from prunelimits.exchange import to_json
from prunelimits.viz import play
from tests.viz.node import SAMPLES_OF, encoded, run, samples

NAMES = ("x1", "x2", "x1x1", "x2x2", "x1x2", "sinx1", "sinx2")


def test_features_are_the_library_s():
    x, y = pl.datasets.cubist_spiral(300)
    cases = [list(NAMES), ["sinx2"], ["x2", "x1x2", "x1"], ["x1", "x2"]]
    found = run(
        SAMPLES_OF
        + """
        const plane = samplesOf(input.samples);
        const columns = [0, 1].map((axis) => plane.x.filter((_, i) => i % 2 === axis));
        return input.cases.map((names) => {
          const { x, inputs, size } = withFeatures(plane, names);
          return [[...x], inputs, size, featureColumns(columns, names).map((c) => [...c])];
        });
        """,
        {"samples": samples(x, y), "cases": cases},
    )
    for names, (flat, inputs, size, columns) in zip(cases, found, strict=True):
        expected = plane_features(x, names).numpy()
        assert (inputs, size) == (len(names), 300)
        np.testing.assert_allclose(np.reshape(flat, (size, inputs)), expected, atol=1e-6)
        np.testing.assert_allclose(np.transpose(columns), expected, atol=1e-6)


def test_a_network_of_features_answers_in_the_page_as_in_the_library():
    names = ("x1", "x1x2", "sinx2")
    x, y = pl.datasets.cubist_spiral(200)
    model = pl.MLP((3, 5, 4, 1))
    outputs, accuracy = run(
        SAMPLES_OF
        + """
        const network = Network.decode(input.network);
        const data = withFeatures(samplesOf(input.samples), input.names);
        const passes = new Passes(network.widths, data.size);
        passes.load(data, Uint32Array.from({ length: data.size }, (_, i) => i), 0, data.size);
        passes.forward(network, data.size);
        return [[...passes.answers.at(-1)], measure(network, data).accuracy];
        """,
        {"network": encoded(model), "samples": samples(x, y), "names": names},
    )
    with torch.no_grad():
        logits = model(plane_features(x, names))[:, 0]
    np.testing.assert_allclose(outputs, logits.numpy(), atol=1e-5)
    assert accuracy == pytest.approx(float(((logits > 0) == y).double().mean()))


@pytest.mark.parametrize(
    ("names", "kind"),
    [((), ValueError), (("x1", "x1"), ValueError), (("x3",), ValueError), ("x1", TypeError)],
)
def test_other_features_are_refused(names: tuple[str, ...], kind: type[Exception]):
    with pytest.raises(kind, match="names must"):
        plane_features(torch.zeros(3, 2), names)
    with pytest.raises(kind, match="inputs must"):
        play(inputs=names)
    if isinstance(names, tuple):
        assert run("return checkedFeatures(input) ?? null;", list(names)) is None


def test_points_must_lie_in_the_plane():
    with pytest.raises(ValueError, match=r"x must have shape \(samples, 2\), got \(3, 3\)"):
        plane_features(torch.zeros(3, 3), ("x1",))
    with pytest.raises(TypeError, match=r"x must be a floating-point tensor, got torch\.int64"):
        plane_features(torch.zeros(3, 2, dtype=torch.int64), ("x1",))


def test_a_model_starts_the_page_with_its_inputs():
    page = play(pl.MLP((3, 4, 1)), inputs=("x1", "x2", "x1x2"))
    text = page.html.split('id="content" type="application/json">')[1].split("</script>")[0]
    content = json.loads(text)
    assert content["settings"] == {"inputs": ["x1", "x2", "x1x2"], "hidden": [4]}
    with pytest.raises(ValueError, match=r"model must have 2 inputs, .* got widths \(3, 4, 1\)"):
        play(pl.MLP((3, 4, 1)))


def test_files_that_name_other_inputs_are_refused():
    text = to_json(pl.MLP((2, 3, 1)), None)
    wrong = ["x1", ["x1"], ["x1", "x1"], ["x1", "__proto__"], ["x1", 2], {"0": "x1"}, [], None]
    found = run(
        """
        return input.wrong.map((inputs) => {
          const content = { ...JSON.parse(input.text), inputs };
          try {
            return networkFromJson(JSON.stringify(content), "net.json").features;
          } catch (error) {
            return error.message;
          }
        });
        """,
        {"text": text, "wrong": wrong},
        ("network", "core/features", "exports"),
    )
    assert {reason[:42] for reason in found} == {"inputs must name 2 different ones of x1, x"}
    assert run(
        'return networkFromJson(input, "net.json").features;',
        json.dumps({**json.loads(text), "inputs": ["x2", "sinx1"]}),
        ("network", "core/features", "exports"),
    ) == ["x2", "sinx1"]
