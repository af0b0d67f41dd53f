// Parameters under the pointer: a click prunes or brings back, a drag changes, and a tip names them.

const CLICK_DISTANCE = 4;
const DRAG_DISTANCE = 150; // in pixels, what changes a weight by the largest weight

class Grip {
  /** `view` is asked to `prune`, `drag` and `drop`. */
  constructor(view) {
    this.view = view;
    this.held = null; // what is dragged: its values before, where it began, whether it has moved
  }

  /** Listens to parts, edges or chips, whose data have an `index`. */
  listen(parts) {
    const drag = d3
      .drag()
      .clickDistance(CLICK_DISTANCE)
      .on("start", (event, { index }) => this.#begin(event, index))
      .on("drag", (event, { index }) => this.#move(event, index))
      .on("end", (event, { index }) => {
        if (this.held.moved) this.view.drop(index, this.held.before);
      });
    parts
      .call(drag)
      .on("click", (event, { index }) => this.view.prune(index))
      .on("pointerenter pointermove", (event, { index }) => this.#tell(event, index))
      .on("pointerleave", () => this.view.page.tip(null));
  }

  #begin(event, index) {
    const { values, kept } = this.view.network;
    const before = { value: values[index], kept: kept[index] };
    this.held = { before, y: event.y, moved: false };
  }

  #move(event, index) {
    const { held, view } = this;
    if (!held.moved && Math.abs(event.y - held.y) < CLICK_DISTANCE) return;
    held.moved = true;
    const fine = event.sourceEvent.shiftKey ? 0.1 : 1;
    const change = (fine * (held.y - event.y) * view.diagram.largest) / DRAG_DISTANCE;
    view.drag(index, Math.fround(held.before.value + change));
    view.page.tip(event.sourceEvent, parameterText(view.network, view.reach, index));
  }

  #tell(event, index) {
    if (this.held?.moved && event.buttons) return;
    const { network, reach, page } = this.view;
    const click = network.alive(index) ? "prune it" : "bring it back";
    const text = parameterText(network, reach, index);
    page.tip(event, `${text}. Click to ${click}, drag up or down to change it.`);
  }
}
