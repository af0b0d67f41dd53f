// One network on the page: its drawing, its numbers, and what can be done to it.

const WIDE = 720; // from this width the region stands at the network's right

class View {
  /** `page` shows tips and messages; `content` has the data and the plane; both are shared. */
  constructor(page, content, id) {
    this.page = page;
    this.content = content;
    this.id = id;
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("view-template"));
    this.root = /** @type {HTMLElement} */ (template.content.firstElementChild.cloneNode(true));
    this.root.id = id;
    this.stage = this.part(".stage");
    this.diagram = new Diagram(this.part(".diagram"), this);
    this.region = new Region(this.part(".region"), content);
    this.region.plane.id = `${id}-region`;
    this.inspector = new Inspector(this.part(".inspector"), this);
    this.painter = new Painter(this);
    this.toolbar = new Toolbar(this);
    this.everything = false; // whether what is pruned is shown, too
    this.following = false; // a training that runs
    this.share = null; // of the data that are classified right, as that training measured
    this.restructured = false; // whether other weights are kept than when it was laid out
    this.least = 0; // weights below this share of the largest are not shown
    this.unfolded = new Set();
    this.answers = new Answers(content);
    this.counts = new Counts(this.root, content);
    this.width = 0;
    new ResizeObserver(() => {
      if (this.network && this.stage.clientWidth !== this.width) this.rebuild();
    }).observe(this.stage);
  }

  /**
   * A part of what is shown.
   *
   * @returns {HTMLElement}
   */
  part(/** @type {string} */ selector) {
    return this.root.querySelector(selector);
  }

  /** The unit that is shown large: the one that is pointed at, or else the one that was chosen. */
  get inSight() {
    return this.looked ?? this.chosen;
  }

  /** Shows a network; `keep`: hidden units to draw even where nothing touches them, by layer. */
  open(network, keep = null) {
    this.network = network;
    network.classes = this.content.classes ?? null;
    this.edits = new Edits(network);
    this.keep = keep ?? network.widths.map(() => new Set());
    this.chosen = null;
    this.looked = null;
    this.answers.forget();
    this.region.answers?.forget();
    this.reach = new Reach(network);
    this.counts.begin();
    const label = this.part(".label");
    label.textContent = network.label;
    label.hidden = network.label === this.content.title;
    this.inspector.show(null);
    this.rebuild();
  }

  /**
   * Shows the network as a training has made it by now; `keep` stays in its place.
   *
   * @param {number} share of the data that it classified right when that was measured last
   * @param {boolean} running whether more is to come: what is seen need not be fine or exact yet
   */
  follow(values, kept, share, running) {
    const { network } = this;
    this.share = share;
    this.following = running;
    this.restructured ||= kept.some((flag, index) => flag !== network.kept[index]);
    network.values.set(values);
    network.kept.set(kept);
    this.edits = new Edits(network);
    this.answers.forget();
    this.region.answers?.forget();
    this.reach = new Reach(network);
    this.diagram.edges.measure();
    if (this.restructured && !(running && this.painter.fresh)) this.rebuild();
    this.painter.request(true);
  }

  /** Lays everything out anew, for the room there is. */
  rebuild() {
    const { network, content } = this;
    this.width = this.stage.clientWidth;
    if (this.width === 0) return;
    this.restructured = false;
    const wide = this.width >= WIDE;
    const regionSide = wide
      ? Math.min(this.width * 0.42, 600, Math.max(320, window.innerHeight * 0.72))
      : Math.min(this.width, 440);
    const drawn = drawnUnits(network, this);
    const direct =
      wide &&
      content.plane &&
      content.outputs === 1 &&
      fitsBeside(drawn.length, this.width - regionSide);
    const room = wide ? this.width - regionSide - (direct ? 0 : 48) : this.width;
    const placement = placeUnits(drawn, room, {
      direct,
      regionSide,
      gap: wide ? 2.1 : 1.5,
      tallest: content.tallest,
    });
    this.stage.classList.toggle("narrow", !wide);
    this.stage.classList.toggle("direct", direct);
    this.region.resize(regionSide);
    this.region.root.style.marginTop = wide
      ? `${Math.max(0, placement.axis - regionSide / 2)}px`
      : "";
    this.diagram.root.style("width", wide ? `${room}px` : "");
    this.diagram.build(network, drawn, placement, (index) => {
      return this.everything || network.alive(index) || this.edits.wasAlive(index);
    });
    this.painter.forget();
    this.#look();
    this.painter.request(false);
    // For the width of the paper, at once: no frame comes while a page is printed.
    if (matchMedia("print").matches) this.printout();
  }

  /** Makes changes that can be undone; `word` begins what is announced. */
  change(changes, word = "Changed") {
    this.#edited(this.edits.make(changes), word);
  }

  undo() {
    this.#edited(this.edits.undo(), "Undone");
  }

  redo() {
    this.#edited(this.edits.redo(), "Done again");
  }

  /** Prunes a parameter, or brings it back. */
  prune(index) {
    const { network } = this;
    const alive = network.alive(index);
    // One that has never had a value gets that of a middling weight.
    const value = network.values[index] || Math.fround(network.largestWeight() / 2);
    const change = { index, kept: alive ? 0 : 1, value: alive ? network.values[index] : value };
    this.page.tip(null);
    this.change([change], alive ? "Pruned" : "Brought back");
  }

  /** A weight on its way to another value. */
  drag(index, value) {
    this.network.kept[index] = 1;
    this.network.values[index] = value;
    this.#touched([index]);
    this.painter.request(true);
  }

  /** The end of a drag; `before` is what the parameter was when it began. */
  drop(index, before) {
    this.edits.note({ index, ...before });
    this.#edited([index], "Changed");
  }

  /** Shows a unit in the region while the pointer or the focus is on it. */
  look(layer, unit) {
    this.looked = layer === null ? null : { layer, unit };
    this.#look();
    this.painter.request(this.following);
  }

  /** Keeps a unit in the region, until it is chosen again. */
  select(layer, unit) {
    const again = this.chosen && this.chosen.layer === layer && this.chosen.unit === unit;
    this.chosen = layer === null || again ? null : { layer, unit };
    if (this.chosen === null) this.looked = null;
    this.inspector.show(this.chosen);
    this.#look();
    this.painter.request(this.following);
  }

  unfold(layer) {
    this.unfolded.add(layer);
    this.rebuild();
  }

  /** Does not show weights below a share of the largest. */
  hideBelow(least) {
    this.least = least;
    this.painter.request(this.following);
  }

  heading() {
    const { network } = this;
    const parts = [
      network.label,
      network.widths.join("-"),
      `${number(network.nonzeros())} nonzeros`,
    ];
    const { correct } = this.answers;
    if (correct !== null) parts.push(percent(correct / this.content.data.size));
    return parts.join("  ·  ");
  }

  /** Paints at once, in the colours that are now in force. */
  repaint() {
    this.region.resize(this.region.side);
    this.painter.repaint();
  }

  /** Paints at once, and as paper can show it. */
  printout() {
    this.repaint();
    this.region.flatten();
  }

  /** All is painted and counted: says what came of a change, for those who do not see it. */
  rested() {
    if (!this.word) return;
    this.page.announce(`${this.word}. ${this.heading()}`);
    this.word = null;
  }

  #look() {
    const unit = this.inSight;
    this.diagram.light(unit ? unit.layer : null, unit ? unit.unit : null);
    this.diagram.mark(this.chosen);
  }

  #edited(indices, word) {
    if (indices.length === 0) return;
    this.word = word;
    this.#touched(indices);
    this.painter.request(true);
  }

  #touched(indices) {
    this.page.changed(indices);
    this.reach = new Reach(this.network);
    for (const index of indices) {
      const { layer, unit } = this.network.place(index);
      this.answers.touch(layer, unit);
      this.region.answers?.touch(layer, unit);
    }
  }
}
