// The buttons above a network: what can be done to it as a whole.

class Toolbar {
  constructor(view) {
    this.view = view;
    this.actions = {
      undo: () => view.undo(),
      redo: () => view.redo(),
      reset: () => view.change(view.edits.backToOpened(), "As it was opened"),
      disconnected: () => this.#removeDisconnected(),
      fold: () => this.#foldConstants(),
      weakest: () => this.#removeWeakest(),
      everything: () => this.#toggleEverything(),
      json: () => this.#downloadJson(),
      svg: () => this.#saveSvg(),
    };
    const buttons = /** @type {NodeListOf<HTMLElement>} */ (
      view.root.querySelectorAll("[data-action]")
    );
    this.buttons = new Map([...buttons].map((button) => [button.dataset.action, button]));
    for (const [name, button] of this.buttons) {
      button.addEventListener("click", this.actions[name]);
    }
    const hide = view.part("[data-hide]");
    hide.addEventListener("input", () => this.#hideBelow(hide));
    view.root.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Marks what would do nothing as it is. */
  enable() {
    const { edits, reach } = this.view;
    const useless = {
      undo: edits.past.length === 0,
      redo: edits.future.length === 0,
      disconnected: reach.parameters("cut").length === 0,
      fold: reach.parameters("constant").length === 0,
    };
    for (const [action, off] of Object.entries(useless)) {
      // Not `disabled`, which would take the focus away from whoever presses it.
      this.buttons.get(action).setAttribute("aria-disabled", String(off));
    }
  }

  #key(event) {
    if (event.target instanceof HTMLInputElement) return;
    const key = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && (key === "z" || key === "y")) {
      event.preventDefault();
      this.actions[key === "y" || event.shiftKey ? "redo" : "undo"]();
    } else if (event.key === "Escape") {
      this.view.select(null);
    }
  }

  #removeDisconnected() {
    const { view } = this;
    const changes = withoutDisconnected(view.network);
    if (changes.length === 0) view.page.say("Nothing is disconnected.");
    view.change(changes, `Removed ${number(changes.length)}`);
  }

  #foldConstants() {
    const { view } = this;
    if (view.reach.parameters("constant").length === 0) {
      view.page.say("Nothing is constant.");
      return;
    }
    try {
      view.change(foldedConstants(view.network), "Constants are in the biases");
    } catch (error) {
      view.page.say(`Not folded: ${error.message}.`);
    }
  }

  #removeWeakest() {
    const { view } = this;
    const { network } = view;
    const index = network.weakest();
    if (index === null) {
      view.page.say("No weight is left.");
      return;
    }
    const change = { index, value: network.values[index], kept: 0 };
    view.change([change], `Pruned the ${parameterName(network, index)}`);
  }

  #toggleEverything() {
    const { view } = this;
    view.everything = !view.everything;
    this.buttons.get("everything").setAttribute("aria-pressed", String(view.everything));
    view.rebuild();
  }

  /** Hides the weights that are small beside the largest, so that many do not hide the few. */
  #hideBelow(slider) {
    slider.setAttribute("aria-valuetext", `below ${slider.value} % of the largest`);
    this.view.hideBelow(Number(slider.value) / 100);
  }

  #downloadJson() {
    const { network, page } = this.view;
    if (network.activation !== "relu") {
      page.say(`Files hold ReLU networks, and this one has ${network.activation}.`);
      return;
    }
    download(networkToJson(network), fileName(network.label, "json"), "application/json");
  }

  #saveSvg() {
    const { view } = this;
    view.painter.repaint(); // the curves, too, as they are now
    download(viewToSvg(view), fileName(view.network.label, "svg"), "image/svg+xml");
  }
}
