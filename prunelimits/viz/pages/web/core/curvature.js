// Second derivatives: the Hessian of the loss times a direction in parameters.

/**
 * The Hessian of the mean loss times a direction (Pearlmutter's R-operator): the derivative, along
 * the direction, of the forward and of the backward pass. A ReLU has no curvature of its own.
 */
function curvatureProduct(
  /** @type {Network} */ network,
  /** @type {Samples[]} */ batches,
  /** @type {Float64Array} */ direction,
  cool = 1,
) {
  const result = new Float64Array(network.values.length);
  const layers = () => network.widths.map((width) => new Float64Array(width));
  // Answers, their changes, errors, and theirs, of one sample.
  const memory = { h: layers(), dh: layers(), e: layers(), de: layers() };
  const { h, dh, e, de } = memory;
  for (const { x, y, size } of batches) {
    const scale = 1 / (size * batches.length * cool);
    for (let sample = 0; sample < size; sample++) {
      const inputs = network.widths[0];
      for (let input = 0; input < inputs; input++) h[0][input] = x[sample * inputs + input];
      answersAndChanges(network, direction, memory);
      outputCurvature(h.at(-1), dh.at(-1), y[sample], scale, cool, e.at(-1), de.at(-1));
      addErrorsAndChanges(network, direction, memory, result);
    }
  }
  return result;
}

function answersAndChanges(network, direction, { h, dh }) {
  for (let layer = 1; layer <= network.last; layer++) {
    for (let unit = 0; unit < network.widths[layer]; unit++) {
      const bias = network.bias(layer, unit);
      let sum = network.effect(bias);
      let change = direction[bias];
      for (let source = 0; source < network.widths[layer - 1]; source++) {
        const index = network.weight(layer, unit, source);
        const weight = network.effect(index);
        sum += weight * h[layer - 1][source];
        change += weight * dh[layer - 1][source] + direction[index] * h[layer - 1][source];
      }
      const open = layer === network.last || sum > 0;
      h[layer][unit] = open ? sum : 0;
      dh[layer][unit] = open ? change : 0;
    }
  }
}

function addErrorsAndChanges(network, direction, { h, dh, e, de }, result) {
  for (let layer = network.last; layer >= 1; layer--) {
    e[layer - 1].fill(0);
    de[layer - 1].fill(0);
    for (let unit = 0; unit < network.widths[layer]; unit++) {
      const [error, change] = [e[layer][unit], de[layer][unit]];
      if (error === 0 && change === 0) continue;
      result[network.bias(layer, unit)] += change;
      for (let source = 0; source < network.widths[layer - 1]; source++) {
        const index = network.weight(layer, unit, source);
        const weight = network.effect(index);
        result[index] += change * h[layer - 1][source] + error * dh[layer - 1][source];
        e[layer - 1][source] += weight * error;
        de[layer - 1][source] += weight * change + direction[index] * error;
      }
    }
    if (layer === 1) continue;
    for (let unit = 0; unit < network.widths[layer - 1]; unit++) {
      if (h[layer - 1][unit] > 0) continue;
      e[layer - 1][unit] = 0;
      de[layer - 1][unit] = 0;
    }
  }
}

/** The loss's slope by each output, and how it changes along with the outputs. */
function outputCurvature(outputs, change, label, scale, cool, slope, bend) {
  if (outputs.length === 1) {
    const p = 1 / (1 + Math.exp(-outputs[0] / cool));
    slope[0] = (p - label) * scale;
    bend[0] = ((p * (1 - p) * change[0]) / cool) * scale;
    return;
  }
  const largest = Math.max(...outputs) / cool;
  const shares = Array.from(outputs, (z) => Math.exp(z / cool - largest));
  const sum = shares.reduce((a, b) => a + b, 0);
  let mean = 0;
  for (let k = 0; k < outputs.length; k++) {
    shares[k] /= sum;
    mean += (shares[k] * change[k]) / cool;
  }
  for (let k = 0; k < outputs.length; k++) {
    slope[k] = (shares[k] - (k === label ? 1 : 0)) * scale;
    bend[k] = shares[k] * (change[k] / cool - mean) * scale;
  }
}
