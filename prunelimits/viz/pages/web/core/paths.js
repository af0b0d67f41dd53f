// How many paths lead through a network, in integers without bound.

/** The paths from an input to an output along weights that are kept and not zero. */
function countPaths(/** @type {Network} */ network) {
  let before = new Array(network.widths[0]).fill(1n);
  for (let layer = 1; layer <= network.last; layer++) {
    before = Array.from({ length: network.widths[layer] }, (_, unit) => {
      return network.sources(layer, unit).reduce((sum, source) => sum + before[source], 0n);
    });
  }
  return before.reduce((sum, paths) => sum + paths, 0n);
}
