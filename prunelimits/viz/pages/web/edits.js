// Changes to a network that can be taken back.

/** A change is `{index, value, kept}`: what a parameter becomes. */
class Edits {
  constructor(network) {
    this.network = network;
    this.opened = network.copy();
    this.past = [];
    this.future = [];
  }

  /** Makes changes; returns the parameters they concern. */
  make(changes) {
    if (changes.length === 0) return [];
    this.past.push(this.#swap(changes));
    this.future = [];
    return changes.map(({ index }) => index);
  }

  /** Notes a change that has been made already, with what the parameter was before it. */
  note(before) {
    this.past.push([before]);
    this.future = [];
  }

  undo() {
    return this.#move(this.past, this.future);
  }

  redo() {
    return this.#move(this.future, this.past);
  }

  /** Whether a parameter was nonzero when the network was opened. */
  wasAlive(index) {
    return this.opened.alive(index);
  }

  /** The changes that lead back to the network as it was opened. */
  backToOpened() {
    const { values, kept } = this.opened;
    return d3
      .range(values.length)
      .filter((i) => values[i] !== this.network.values[i] || kept[i] !== this.network.kept[i])
      .map((index) => ({ index, value: values[index], kept: kept[index] }));
  }

  #move(from, to) {
    const changes = from.pop();
    if (!changes) return [];
    to.push(this.#swap(changes));
    return changes.map(({ index }) => index);
  }

  /** Makes changes; returns those that undo them. */
  #swap(changes) {
    const { values, kept } = this.network;
    const before = changes.map(({ index }) => ({ index, value: values[index], kept: kept[index] }));
    for (const { index, value, kept: keep } of changes) {
      values[index] = value;
      kept[index] = keep;
    }
    return before;
  }
}
