// A network's first weights, as PyTorch draws them for linear layers.

/** Weights and biases uniform in ±1/sqrt(inputs of the layer), all kept. */
function freshNetwork(/** @type {number[]} */ widths, /** @type {Random} */ random) {
  let size = 0;
  for (let l = 1; l < widths.length; l++) size += widths[l] * (widths[l - 1] + 1);
  const network = new Network("", widths, new Float32Array(size), new Uint8Array(size).fill(1));
  for (let layer = 1; layer < widths.length; layer++) {
    const bound = 1 / Math.sqrt(widths[layer - 1]);
    const end = network.bias(layer, widths[layer]);
    for (let index = network.starts[layer]; index < end; index++) {
      network.values[index] = bound * (2 * random.uniform() - 1);
    }
  }
  return network;
}
