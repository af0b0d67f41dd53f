// One network on the page: its drawing, its numbers, and what can be done to it.

const RESTYLE_EVERY = 250; // milliseconds, of many weights while a training runs
const REST_AFTER = 120; // milliseconds without a change
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
    this.stage = this.root.querySelector(".stage");
    this.diagram = new Diagram(this.root.querySelector(".diagram"), this);
    this.region = new Region(this.root.querySelector(".region"), content);
    this.region.plane.id = `${id}-region`;
    this.inspector = new Inspector(this.root.querySelector(".inspector"), this);
    this.everything = false;
    this.following = false; // a training that runs
    this.share = null; // of the data that are classified right, as that training measured
    this.restyled = 0; // when the weights were
    this.least = 0; // weights below this share of the largest are not shown
    this.unfolded = new Set();
    this.answers = new Answers(content);
    this.counts = new Counts(this.root, content);
    this.width = 0;
    this.#listen();
  }

  #listen() {
    const actions = {
      undo: () => this.#edited(this.edits.undo(), "Undone"),
      redo: () => this.#edited(this.edits.redo(), "Done again"),
      reset: () => this.change(this.edits.backToOpened(), "As it was opened"),
      disconnected: () => this.#removeDisconnected(),
      fold: () => this.#foldConstants(),
      weakest: () => this.#removeWeakest(),
      everything: () => this.#toggleEverything(),
      json: () => this.#downloadJson(),
      svg: () => download(viewToSvg(this), fileName(this.network.label, "svg"), "image/svg+xml"),
    };
    const buttons = /** @type {NodeListOf<HTMLElement>} */ (
      this.root.querySelectorAll("[data-action]")
    );
    for (const button of buttons) {
      button.addEventListener("click", actions[button.dataset.action]);
    }
    const hide = /** @type {HTMLInputElement} */ (this.root.querySelector("[data-hide]"));
    hide.addEventListener("input", () => this.#hideBelow(hide));
    this.root.addEventListener("keydown", (event) => {
      if (event.target instanceof HTMLInputElement) return;
      const key = event.key.toLowerCase();
      if ((event.ctrlKey || event.metaKey) && (key === "z" || key === "y")) {
        event.preventDefault();
        actions[key === "y" || event.shiftKey ? "redo" : "undo"]();
      } else if (event.key === "Escape") {
        this.select(null);
      }
    });
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
    const restructured = kept.some((flag, index) => flag !== network.kept[index]);
    network.values.set(values);
    network.kept.set(kept);
    this.edits = new Edits(network);
    this.answers.forget();
    this.region.answers?.forget();
    this.reach = new Reach(network);
    if (restructured) this.rebuild();
    this.#request(true);
  }

  /** Lays everything out anew, for the room there is. */
  rebuild() {
    const { network, content } = this;
    this.width = this.stage.clientWidth;
    if (this.width === 0) return;
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
    this.painted = false;
    this.#look();
    this.#request(false);
    // For the width of the paper, at once: no frame comes while a page is printed.
    if (matchMedia("print").matches) this.printout();
  }

  /** Makes changes that can be undone; `word` begins what is announced. */
  change(changes, word = "Changed") {
    this.#edited(this.edits.make(changes), word);
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
    this.#request(true);
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
    this.#request(false);
  }

  /** Keeps a unit in the region, until it is chosen again. */
  select(layer, unit) {
    const again = this.chosen && this.chosen.layer === layer && this.chosen.unit === unit;
    this.chosen = layer === null || again ? null : { layer, unit };
    if (this.chosen === null) this.looked = null;
    this.inspector.show(this.chosen);
    this.#look();
    this.#request(false);
  }

  unfold(layer) {
    this.unfolded.add(layer);
    this.rebuild();
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

  /** Paints at once, and as paper can show it. */
  printout() {
    this.repaint();
    this.region.flatten();
  }

  /** Paints at once, in the colours that are now in force. */
  repaint() {
    this.diagram.shown.clear();
    this.region.resize(this.region.side);
    this.painted = false;
    this.#paint(false);
  }

  #look() {
    const unit = this.looked ?? this.chosen;
    this.diagram.light(unit ? unit.layer : null, unit ? unit.unit : null);
    this.diagram.mark(this.chosen);
  }

  #downloadJson() {
    const { network } = this;
    if (network.activation !== "relu") {
      this.page.say(`Files hold ReLU networks, and this one has ${network.activation}.`);
      return;
    }
    download(networkToJson(network), fileName(network.label, "json"), "application/json");
  }

  #removeDisconnected() {
    const changes = withoutDisconnected(this.network);
    if (changes.length === 0) this.page.say("Nothing is disconnected.");
    this.change(changes, `Removed ${number(changes.length)}`);
  }

  #foldConstants() {
    if (this.reach.parameters("constant").length === 0) {
      this.page.say("Nothing is constant.");
      return;
    }
    try {
      this.change(foldedConstants(this.network), "Constants are in the biases");
    } catch (error) {
      this.page.say(`Not folded: ${error.message}.`);
    }
  }

  #removeWeakest() {
    const index = this.network.weakest();
    if (index === null) {
      this.page.say("No weight is left.");
      return;
    }
    const change = { index, value: this.network.values[index], kept: 0 };
    this.change([change], `Pruned the ${parameterName(this.network, index)}`);
  }

  /** Hides the weights that are small beside the largest, so that many do not hide the few. */
  #hideBelow(/** @type {HTMLInputElement} */ slider) {
    this.least = Number(slider.value) / 100;
    slider.setAttribute("aria-valuetext", `below ${slider.value} % of the largest`);
    this.#request(false);
  }

  #toggleEverything() {
    this.everything = !this.everything;
    this.root
      .querySelector("[data-action=everything]")
      .setAttribute("aria-pressed", String(this.everything));
    this.rebuild();
  }

  #edited(indices, word) {
    if (indices.length === 0) return;
    this.word = word;
    this.#touched(indices);
    this.#request(true);
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

  #request(moving) {
    this.moving = moving;
    this.#busy(true);
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      const begun = performance.now();
      this.#paint(this.moving);
      this.frameTime = performance.now() - begun;
      clearTimeout(this.rest);
      if (!this.moving || this.following) return;
      this.rest = setTimeout(() => this.#request(false), REST_AFTER);
    });
  }

  #paint(moving) {
    const { network, answers, diagram, region, reach } = this;
    const following = moving && this.following && this.content.plane;
    const onData = following ? null : answers.onData(network, moving);
    const responses = answers.onPlane(network, diagram.units.size(), moving) ?? onData.responses;
    // What stands on the canvases already need not be painted again.
    const changed = this.shown === responses && this.painted ? responses.changed : null;
    const begun = performance.now();
    const fresh = this.painted && begun < this.restyled + RESTYLE_EVERY;
    this.shown = responses;
    this.painted = true;
    const { labels = null, share = this.share } = onData ?? {};
    diagram.paint((...unit) => this.#paintUnit(...unit, responses, labels), changed);
    // Hundreds of curves take longer than all images; they change slowly.
    if (!(following && fresh && diagram.edges.size() > CROWDED)) {
      diagram.restyle(reach, moving);
      this.part(".note").textContent = diagram.note();
      this.restyled = begun;
    }
    region.paint(network, this.looked ?? this.chosen, responses, labels);
    this.counts.show(network, reach, share, answers.correct);
    this.#enableActions();
    if (moving) return;
    this.inspector.refresh();
    answers.count(network, () => {
      this.counts.show(network, reach, share, answers.correct);
      this.#rest();
    });
  }

  #paintUnit(canvas, layer, unit, responses, labels) {
    const values = responses.values[layer][unit];
    if (!this.content.plane) {
      const classes = Math.max(2, this.content.outputs);
      paintHistogram(canvas, values, labels, classes, canvas.clientWidth || 40);
    } else if (layer === this.network.last && this.content.outputs === 1) {
      paintDecision(canvas, values);
    } else {
      paintValues(canvas, values, scaleOf(values));
    }
  }

  #enableActions() {
    const useless = {
      undo: this.edits.past.length === 0,
      redo: this.edits.future.length === 0,
      disconnected: this.reach.parameters("cut").length === 0,
      fold: this.reach.parameters("constant").length === 0,
    };
    for (const [action, off] of Object.entries(useless)) {
      // Not `disabled`, which would take the focus away from whoever presses it.
      this.root.querySelector(`[data-action=${action}]`).setAttribute("aria-disabled", String(off));
    }
  }

  #busy(busy) {
    this.root.setAttribute("aria-busy", String(busy));
  }

  /** All is painted and counted: says what came of a change, for those who do not see it. */
  #rest() {
    this.#busy(false);
    if (!this.word) return;
    this.page.announce(`${this.word}. ${this.heading()}`);
    this.word = null;
  }
}
