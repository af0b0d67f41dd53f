// The form: what is set, told to the page as it changes.

/** What can change while a network trains; everything else begins again. */
const LIVE = ["lr", "l1", "l2", "momentum"];
const PRUNING = ["method", "keep"];

class Controls {
  /** `page` is told by `set`, `begin`, `prune` and `say`. */
  constructor(page, settings) {
    this.page = page;
    this.settings = settings;
    this.form = /** @type {HTMLFormElement} */ (document.getElementById("controls"));
    this.budget = /** @type {HTMLInputElement} */ (document.getElementById("budget"));
    this.fields = /** @type {HTMLInputElement[]} */ ([...this.form.querySelectorAll("[name]")]);
    this.#offerFeatures();
    for (const [id, names] of [
      ["at-once", Object.keys(AT_ONCE)],
      ["during", Object.keys(DURING)],
    ]) {
      d3.select(`#${id}`).selectAll("option").data(names).join("option").text((name) => name);
    }
    this.form.addEventListener("submit", (event) => event.preventDefault());
    for (const field of this.fields) {
      field.addEventListener("change", () => this.#read(field));
    }
    this.budget.addEventListener("input", () => this.#change("keep", Number(this.budget.value)));
    const listen = (id, action) => document.getElementById(id).addEventListener("click", action);
    listen("prune", () => page.prune());
    listen("shallower", () => this.#resize(this.settings.hidden.slice(0, -1)));
    listen("deeper", () => this.#resize([...this.settings.hidden, this.settings.hidden.at(-1)]));
    this.show();
  }

  /** The most weights that can be kept. */
  get most() {
    return weightCount(this.settings, this.page.outputs);
  }

  #offerFeatures() {
    const features = d3.select("#inputs").selectAll("label").data(Object.entries(FEATURES));
    const label = features.join("label");
    this.features = label.append("input").attr("type", "checkbox").on("change", () => {
      const chosen = this.features.filter(":checked").data();
      // A network without inputs has nothing to learn from.
      if (chosen.length > 0) this.#change("inputs", chosen.map(([name]) => name));
      else this.show();
    });
    label.append("span").text(([, { shown }]) => shown);
  }

  #read(field) {
    try {
      this.#change(field.name, readSetting(field.name, field.value.trim()));
      this.page.say("");
    } catch (error) {
      this.page.say(error.message);
      this.show();
    }
  }

  #change(name, value) {
    if (settingText(value) === settingText(this.settings[name])) return;
    this.settings[name] = value;
    this.show();
    if (LIVE.includes(name)) this.page.set();
    else if (PRUNING.includes(name)) this.page.noteSettings();
    else this.page.begin();
  }

  #resize(hidden) {
    if (hidden.length < 1 || hidden.length > MOST_LAYERS) return;
    if (hidden.some((width) => width < 1 || width > MOST_WIDTH)) return;
    this.#change("hidden", hidden);
  }

  /** Shows the settings as they are. */
  show() {
    const { settings, budget } = this;
    settings.keep = Math.min(settings.keep, this.most);
    for (const field of this.fields) field.value = settingText(settings[field.name]);
    this.features.property("checked", ([name]) => settings.inputs.includes(name));
    for (const field of this.fields) {
      if (field.name === "samples") field.disabled = settings.data === "given";
    }
    budget.max = String(this.most);
    budget.value = settings.keep;
    const share = 1 - settings.keep / this.most;
    document.getElementById("sparsity").textContent =
      `of ${number(this.most)}: ${percent(share)} sparse`;
    this.#showWidths();
    this.#showMethod();
  }

  #showWidths() {
    const { hidden } = this.settings;
    document.getElementById("depth").textContent = hidden.length;
    const change = (layer, by) => {
      this.#resize(hidden.map((width, l) => (l === layer ? width + by : width)));
    };
    d3.select("#widths")
      .selectAll("li")
      .data(hidden)
      .join((enter) => {
        const item = enter.append("li");
        item.append("button").attr("type", "button").text("−");
        item.append("output");
        item.append("button").attr("type", "button").text("+");
        return item;
      })
      .each(function (width, layer) {
        const [fewer, output, more] = this.children;
        output.textContent = width;
        fewer.onclick = () => change(layer, -1);
        more.onclick = () => change(layer, 1);
        fewer.ariaLabel = `One unit fewer in layer ${layer + 1}, of ${width}`;
        more.ariaLabel = `One unit more in layer ${layer + 1}, of ${width}`;
        fewer.ariaDisabled = String(width <= 1);
        more.ariaDisabled = String(width >= MOST_WIDTH);
      });
  }

  #showMethod() {
    const { method } = this.settings;
    const button = document.getElementById("prune");
    button.hidden = method === "none";
    button.textContent = Object.hasOwn(DURING, method)
      ? `Train from the start with ${method}`
      : `Prune with ${method} now`;
    document.getElementById("explanation").textContent = EXPLANATIONS[method];
  }
}

const EXPLANATIONS = {
  none: "Every weight stays.",
  Magnitude: "Keeps the largest weights.",
  Random: "Keeps weights chosen at random.",
  SNIP: "Keeps the weights whose removal the loss would feel most.",
  GraSP: "Keeps the weights that the gradient's flow needs.",
  SynFlow: "Keeps the weights with the most flow through them, in 100 rounds, without data.",
  IterSNIP: "SNIP in 10 rounds, each among the weights that are left.",
  FORCE: "SNIP in 10 rounds; weights may come back.",
  GMP: "Removes the smallest weights little by little while the network trains.",
  LTH: "Trains, removes the smallest weights, goes back to the first values, and again: 5 trainings.",
  RigL: "Starts sparse; drops the smallest weights and grows those with the largest gradients.",
  Elimination:
    "Trains several networks, removes units and then weight by weight what the loss misses least, " +
    "and trains on; of every size the best go on. Takes a minute.",
  SET: "Starts sparse; drops the smallest weights and grows others at random.",
};
