// How many weights of a budget each layer keeps.

/**
 * Erdős-Rényi: density in proportion to (inputs + outputs) / (inputs x outputs); layers that would
 * be more than dense are dense. As `prunelimits.quotas.erk`: whole numbers by largest remainder,
 * ties to the earlier layer, all in exact integers.
 *
 * @param {number[]} widths
 * @param {number} keep
 * @returns {number[]} a quota for layers 1 to the last
 */
function erdosRenyiQuotas(widths, keep) {
  const layers = widths.slice(1).map((width, i) => ({
    size: width * widths[i],
    sum: width + widths[i],
    dense: false,
  }));
  let left = keep;
  let sums = 0;
  for (;;) {
    const open = layers.filter(({ dense }) => !dense);
    left = keep - layers.reduce((total, { dense, size }) => total + (dense ? size : 0), 0);
    sums = open.reduce((total, { sum }) => total + sum, 0);
    const over = open.filter(({ sum, size }) => left * sum > size * sums);
    if (over.length === 0) break;
    for (const layer of over) layer.dense = true;
  }
  const quotas = layers.map(({ dense, size, sum }) => {
    return dense ? size : Math.floor((left * sum) / sums);
  });
  const remainder = layers.map(({ dense, sum }) => (dense ? 0 : (left * sum) % sums));
  const missing = keep - quotas.reduce((a, b) => a + b, 0);
  const order = layers.map((_, layer) => layer);
  order.sort((a, b) => remainder[b] - remainder[a] || a - b);
  for (const layer of order.slice(0, missing)) quotas[layer]++;
  return quotas;
}
