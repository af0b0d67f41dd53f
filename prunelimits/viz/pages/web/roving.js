// One of many parts is a stop for Tab, and arrow keys lead to the others: a roving tabindex.

class RovingFocus {
  /** `start`: the key of the part where Tab enters at first; null: the first part. */
  constructor(start = null) {
    this.here = start;
    this.parts = d3.selectAll([]);
  }

  /** From now on it moves among these parts, whose data have a `key`. */
  among(parts) {
    this.parts = parts.attr("tabindex", -1);
    const nodes = parts.nodes();
    const entry = nodes.find((node) => d3.select(node).datum().key === this.here) ?? nodes[0];
    if (entry) entry.tabIndex = 0;
  }

  /** Moves to a part; none: it stays. */
  go(node) {
    if (!node) return;
    this.parts.attr("tabindex", -1);
    node.tabIndex = 0;
    node.focus();
    this.here = d3.select(node).datum().key;
  }
}
