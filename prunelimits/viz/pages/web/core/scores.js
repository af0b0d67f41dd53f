// How much each weight is worth keeping: larger always means keep. Numbers for every parameter;
// only those of weights count. The formulas are those of `prunelimits.scores`.

/** `|w|`. */
function magnitudeScores(/** @type {Network} */ network) {
  return Float64Array.from(network.values, Math.abs);
}

/** Uniform in [0, 1). */
function randomScores(/** @type {Network} */ network, /** @type {{uniform(): number}} */ random) {
  const scores = new Float64Array(network.values.length);
  network.eachWeight((index) => {
    scores[index] = random.uniform();
  });
  return scores;
}

/** SNIP: `|w dL/dw|` of the masked network; a pruned weight's score is that of its coming back. */
function snipScores(/** @type {Network} */ network, /** @type {Samples[]} */ batches) {
  const gradient = meanGradient(network, batches, 1);
  return Float64Array.from(network.values, (w, i) => Math.abs(w * gradient[i]));
}

/** GraSP: `w (H g)` for the loss of the outputs divided by the temperature. */
function graspScores(
  /** @type {Network} */ network,
  /** @type {Samples[]} */ batches,
  temperature = 200,
) {
  const gradient = meanGradient(network, batches, temperature);
  const direction = new Float64Array(gradient.length);
  network.eachWeight((index) => {
    direction[index] = network.kept[index] ? gradient[index] : 0;
  });
  const product = curvatureProduct(network, batches, direction, temperature);
  return Float64Array.from(network.values, (w, i) => (network.kept[i] ? w * product[i] : 0));
}

/** SynFlow: `|w| dR/d|w|`, R being the output for ones with every parameter made positive. */
function synflowScores(/** @type {Network} */ network) {
  const { widths, last } = network;
  const size = (/** @type {number} */ index) => Math.abs(network.effect(index));
  const forward = widths.map((width) => new Float64Array(width));
  const backward = widths.map((width) => new Float64Array(width));
  forward[0].fill(1);
  backward[last].fill(1);
  for (let layer = 1; layer <= last; layer++) {
    for (let unit = 0; unit < widths[layer]; unit++) {
      // A bias begins a path, as in the published code; it is there whatever the masks say.
      let sum = Math.abs(network.values[network.bias(layer, unit)]);
      for (let source = 0; source < widths[layer - 1]; source++) {
        sum += size(network.weight(layer, unit, source)) * forward[layer - 1][source];
      }
      forward[layer][unit] = sum;
    }
  }
  for (let layer = last; layer > 1; layer--) {
    for (let unit = 0; unit < widths[layer]; unit++) {
      for (let source = 0; source < widths[layer - 1]; source++) {
        // A unit that answers zero passes no slope.
        if (forward[layer - 1][source] === 0) continue;
        backward[layer - 1][source] +=
          size(network.weight(layer, unit, source)) * backward[layer][unit];
      }
    }
  }
  const scores = new Float64Array(network.values.length);
  network.eachWeight((index, layer, unit, source) => {
    const open = layer === last || forward[layer][unit] > 0;
    if (open) scores[index] = size(index) * forward[layer - 1][source] * backward[layer][unit];
  });
  return scores;
}

/** The gradient of the mean loss over batches of one size, by all parameters, in float64: a
 * ranking should not hang on rounding. */
function meanGradient(network, batches, cool) {
  const [{ size }] = batches;
  const all = Uint32Array.from({ length: size }, (_, i) => i);
  const passes = new Passes(network.widths, size, Float64Array);
  const one = new Float64Array(network.values.length);
  const result = new Float64Array(network.values.length);
  for (const batch of batches) {
    passes.gradient(network, batch, all, 0, size, one, cool);
    one.forEach((value, index) => (result[index] += value / batches.length));
  }
  return result;
}
