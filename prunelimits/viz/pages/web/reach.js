// Which parts of a network take part in what it computes: reachability over its nonzero parameters.

/**
 * Flags for every unit of every layer:
 * - fed: it has a path from an input;
 * - carries: it has a path from an input or from a bias, so it need not be zero;
 * - reaches: it has a path to an output.
 */
class Reach {
  constructor(network) {
    const flags = () => network.widths.map((width) => new Uint8Array(width));
    this.network = network;
    this.fed = flags();
    this.carries = flags();
    this.reaches = flags();
    this.fed[0].fill(1);
    this.carries[0].fill(1);
    this.reaches[network.last].fill(1);
    this.#spreadForward();
    this.#spreadBackward();
  }

  #spreadForward() {
    const { network, fed, carries } = this;
    for (let layer = 1; layer <= network.last; layer++) {
      for (let unit = 0; unit < network.widths[layer]; unit++) {
        carries[layer][unit] = network.alive(network.bias(layer, unit)) ? 1 : 0;
      }
    }
    network.eachWeight((index, layer, unit, source) => {
      if (!network.alive(index)) return;
      fed[layer][unit] |= fed[layer - 1][source];
      carries[layer][unit] |= carries[layer - 1][source];
    });
  }

  #spreadBackward() {
    const { network, reaches } = this;
    for (let layer = network.last; layer >= 1; layer--) {
      for (let unit = 0; unit < network.widths[layer]; unit++) {
        if (!reaches[layer][unit]) continue;
        for (const source of network.sources(layer, unit)) reaches[layer - 1][source] = 1;
      }
    }
  }

  /**
   * "live" for a weight on a path from an input to an output, and for the biases of the units there
   * and of the outputs: the effective nonzeros; "constant" for what only carries a constant to an
   * output; "cut" for what takes no part in any output; "pruned" for zeros.
   */
  parameter(index) {
    if (!this.network.alive(index)) return "pruned";
    const { layer, unit, source } = this.network.place(index);
    if (!this.reaches[layer][unit]) return "cut";
    if (source === BIAS)
      return layer === this.network.last || this.fed[layer][unit] ? "live" : "constant";
    if (this.fed[layer - 1][source]) return "live";
    return this.carries[layer - 1][source] ? "constant" : "cut";
  }

  /** The parameters in a state. */
  parameters(state) {
    const result = [];
    for (let index = 0; index < this.network.values.length; index++) {
      if (this.parameter(index) === state) result.push(index);
    }
    return result;
  }

  /** "live", "constant" (the same for every input), or "cut" (takes no part in any output). */
  unit(layer, unit) {
    if (!this.reaches[layer][unit]) return "cut";
    if (this.fed[layer][unit]) return "live";
    return this.carries[layer][unit] || layer === this.network.last ? "constant" : "cut";
  }

  /** Hidden units that are live. */
  liveUnits() {
    let count = 0;
    for (let layer = 1; layer < this.network.last; layer++) {
      this.fed[layer].forEach((fed, unit) => {
        count += fed && this.reaches[layer][unit];
      });
    }
    return count;
  }
}
