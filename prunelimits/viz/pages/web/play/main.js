// The playground that lives: a form, a training in a worker, and the network as it is by now.

class PlayPage extends Shell {
  open(content) {
    document.title = content.title;
    document.getElementById("title").textContent = content.title;
    document.getElementById("about").textContent = content.about;
    this.points = content.data && pointsOf(content.data);
    this.classes = content.classes ?? null;
    this.start = { ...defaultSettings(), ...content.settings };
    this.brought =
      content.network && Network.decode({ ...content.network, features: this.start.inputs });
    if (this.points) this.#offerGiven();
    this.curves = new Curves();
    this.records = new Records(content.records);
    this.presets = new Presets(this, content.presets);
    this.along = document.getElementById("along");
    this.trainer = new Trainer(this);
    this.progress = new Progress(this);
    const invited = !location.hash && !content.network && !content.data;
    this.settings = this.#fromAddress();
    this.controls = new Controls(this, this.settings);
    this.#listen();
    listenForFiles(this);
    this.begin();
    this.story = new Story(this);
    // Who follows a link, or brings a network or data, knows the page.
    if (invited) this.story.open();
    addEventListener("hashchange", () => {
      if (location.hash.slice(1) === settingsToFragment(this.settings)) return;
      Object.assign(this.settings, this.#fromAddress());
      this.controls.show();
      this.begin();
    });
  }

  /** The settings in the address; the network that it names or holds is the one to begin with. */
  #fromAddress() {
    this.given = this.brought;
    try {
      const { settings, given } = readAddress(location.hash.slice(1), this);
      this.given = given ?? this.brought;
      this.say("");
      return settings;
    } catch (error) {
      this.say(`The address behind # is not used: ${error.message}.`);
      return { ...this.start };
    }
  }

  /** How many units each layer has, the inputs first. */
  widths(settings = this.settings) {
    return [settings.inputs.length, ...settings.hidden, this.outputsOf(settings.data)];
  }

  #offerGiven() {
    const option = /** @type {HTMLElement} */ (document.querySelector("option[value=given]"));
    option.hidden = false;
  }

  #listen() {
    const listen = (id, event, action) =>
      document.getElementById(id).addEventListener(event, action);
    listen("run", "click", () => this.trainer.tell({ kind: this.running ? "pause" : "play" }));
    listen("step", "click", () => this.trainer.tell({ kind: "step", epochs: 0 }));
    listen("epoch", "click", () => this.trainer.tell({ kind: "step", epochs: 1 }));
    listen("restart", "click", () => this.begin());
    listen("speed", "change", ({ target }) => {
      this.trainer.tell({ kind: "speed", rate: Number(target.value) });
    });
    listen("share", "click", () => shareLink(this));
    listen("watch-film", "click", () => this.trainer.tell({ kind: "film", use: "watch" }));
    listen("save-film", "click", () => this.trainer.tell({ kind: "film", use: "save" }));
  }

  /** Other data than the page's own: points, and what their labels are. */
  bring(points, labels) {
    const { settings } = this;
    this.points = points;
    this.classes = classLabels(labels);
    this.#offerGiven();
    settings.data = "given";
    settings.batch = Math.min(settings.batch, Math.max(1, Math.floor(points.length / 10)));
    this.controls.show();
    this.begin();
  }

  /** How many outputs the data need. */
  get outputs() {
    return this.outputsOf(this.settings.data);
  }

  outputsOf(data) {
    if (data !== "given") return 1;
    const classes = d3.max(this.points, ({ label }) => label) + 1;
    return classes > 2 ? classes : 1;
  }

  /** Begins anew, from the settings; `method`: what prunes while it trains. */
  begin(method = "none") {
    const { settings } = this;
    const { train, test } = drawData(settings, this.points);
    if (settings.batch > train.size) {
      this.say(`The batch size is ${settings.batch}, but ${train.size} samples are to train on.`);
    }
    const widths = this.widths();
    const fits =
      this.given?.widths.join() === widths.join() &&
      (this.given.features ?? PLANE).join() === settings.inputs.join();
    const given = fits ? this.given : null;
    if (!fits) settings.start = OWN_START;
    this.curves.clear();
    this.#show(train, widths);
    this.presets.show(settings.start);
    this.noteSettings();
    const network = given && { ...given };
    this.trainer.start({ settings: { ...settings, method }, train, test, network });
  }

  /** Begins anew from other settings and a network; null: a random start. */
  beginWith(settings, given) {
    Object.assign(this.settings, settings);
    this.given = given;
    this.controls.show();
    this.say("");
    this.begin();
  }

  /** A view of a network of these widths, on these data. */
  #show(train, widths) {
    this.samples = train;
    const columns = [0, 1].map((axis) => train.x.filter((_, i) => i % 2 === axis));
    const reach = d3.max(train.x, Math.abs);
    this.content = {
      title: document.title,
      inputs: 2,
      features: this.settings.inputs,
      outputs: widths.at(-1),
      classes: this.settings.data === "given" ? this.classes : null,
      extent: reach <= 2.25 && reach > 0.75 ? 2.25 : 1.1 * reach || 2.25,
      data: new Data(columns, train.y),
      plane: true,
      paths: true,
      tallest: Math.min(640, Math.max(470, innerHeight - 430)),
    };
    const holder = document.getElementById("views");
    // The page stays as long as it is, so that nothing jumps.
    holder.style.minHeight = `${holder.offsetHeight}px`;
    this.views[0]?.root.remove();
    const view = new View(this, this.content, "view-0");
    this.views = [view];
    this.fresh = true;
    holder.append(view.root);
    for (const name of ["paths", "test"]) {
      view.part(`[data-count=${name}]`).hidden = false;
    }
    // What is done to the network stands below it, so that more of it is seen at once; then what is
    // taken along.
    view.part(".stage").after(view.part(".actions"));
    const { along } = this;
    along.querySelectorAll("[data-action]").forEach((button) => button.remove());
    along.prepend(view.part("[data-action=json]"), view.part("[data-action=svg]"));
    view.part(".legend").after(along);
    // The training goes on from what is changed by hand: there is no way back but to start again.
    for (const name of ["undo", "redo", "reset"]) {
      view.part(`[data-action=${name}]`).hidden = true;
    }
    view.part("[data-count=accuracy] dt").textContent = "accuracy on training data";
  }

  /** Shows what the training reports. */
  draw({ values, kept, points, ...report }) {
    const [view] = this.views;
    const { running, epoch, done } = report;
    const later = running && view.painter.fresh;
    if (this.fresh) this.#open(view, values, kept);
    else view.follow(values, kept, points.at(-1)?.train.accuracy ?? view.share, running);
    this.curves.add(points, later);
    const preset = this.settings.start !== OWN_START;
    this.records.note(this.settings, points, preset ? this.given.nonzeros() : Infinity);
    this.running = running;
    this.progress.show(report, later);
    const { dataset } = document.getElementById("play");
    dataset.epoch = epoch;
    dataset.state = running ? "running" : "paused";
    if (later) return;
    const test = this.curves.points.at(-1)?.test;
    write(view.part("[data-count=test] .value"), test ? percent(test.accuracy) : "no data");
    const run = document.getElementById("run");
    write(run, running ? "Pause" : done ? "Train on" : "Play");
    mark(run, "aria-pressed", String(running));
    if (!running) this.story?.refresh();
  }

  /** Does with the frames of a session what the reader wants. */
  takeFilm({ use, frames }) {
    if (use === "save") saveFilm(this, frames);
    else watchFilm(this, frames);
  }

  /** How fast the training of the settings goes: epochs and pictures a second. */
  async benchmark(seconds = 10) {
    this.begin();
    this.trainer.tell({ kind: "play" });
    await this.trainer.pace(1); // until everything is compiled
    const pace = await this.trainer.pace(seconds);
    this.trainer.tell({ kind: "pause" });
    return pace;
  }

  #open(view, values, kept) {
    this.fresh = false;
    const { settings } = this;
    const widths = this.widths();
    const { activation, inputs } = settings;
    const features = isPlane(inputs) ? null : inputs;
    const network = new Network("", widths, values, kept, activation, features);
    network.label = widths.join("-");
    // Every unit has its place, whether or not something touches it by now.
    view.open(network, widths.map((width) => new Set(d3.range(width))));
    view.part(".label").hidden = true;
    document.getElementById("views").style.minHeight = "";
  }

  /** What was set is told to the training that goes on. */
  set() {
    this.trainer.tell({ kind: "set", settings: this.settings });
    this.noteSettings();
  }

  /** The settings as they are, in the address. */
  noteSettings() {
    showAddress(settingsToFragment(this.settings));
  }

  prune() {
    const { method, keep } = this.settings;
    this.say("");
    if (Object.hasOwn(DURING, method)) {
      this.begin(method);
      this.trainer.tell({ kind: "play" });
    } else {
      this.trainer.tell({ kind: "prune", method, keep });
    }
  }

  train() {
    this.trainer.tell({ kind: "play" });
  }

  /** Sets a method and a budget, and prunes. */
  choose(method, keep) {
    Object.assign(this.settings, { method, keep });
    this.controls.show();
    this.prune();
  }

  /** Takes out what is disconnected and what is constant, which moves into the biases. */
  removeWaste() {
    const { actions } = this.views[0].toolbar;
    if (this.views[0].reach.parameters("constant").length > 0) actions.fold();
    else actions.disconnected();
  }

  changed(indices) {
    const { values, kept } = this.views[0].network;
    const changes = indices.map((index) => ({ index, value: values[index], kept: kept[index] }));
    this.trainer.edit(changes);
  }

  load(network) {
    const { widths } = network;
    const inputs = network.features ?? PLANE;
    if (widths[0] !== inputs.length || widths.at(-1) !== this.outputs) {
      throw new Error(
        `its widths are ${widths.join("-")}, but these data need ${inputs.length} inputs and ` +
          `${this.outputs} output${this.outputs === 1 ? "" : "s"}`,
      );
    }
    const hidden = readSetting("hidden", widths.slice(1, -1).join("-"));
    const settings = { ...this.settings, hidden, inputs, activation: "relu", start: OWN_START };
    this.beginWith(settings, network);
  }
}

const page = new PlayPage();
Object.assign(window, { playground: page }); // for the console
try {
  page.open(JSON.parse(document.getElementById("content").textContent));
} catch (error) {
  page.say(`This page cannot begin: ${error.message}`);
}
