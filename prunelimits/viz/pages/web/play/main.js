// The playground that lives: a form, a training in a worker, and the network as it is by now.

const MOST_BYTES = 5_000_000;

class PlayPage extends Shell {
  open(content) {
    document.title = content.title;
    document.getElementById("title").textContent = content.title;
    document.getElementById("about").textContent = content.about;
    this.points = content.data && pointsOf(content.data);
    this.given = content.network && Network.decode(content.network);
    const start = { ...defaultSettings(), ...content.settings };
    if (this.points) document.querySelector("option[value=given]").hidden = false;
    this.curves = new Curves();
    this.records = new Records(content.records);
    this.worker = new Worker(
      URL.createObjectURL(
        new Blob([document.getElementById("worker").textContent], { type: "text/javascript" }),
      ),
    );
    this.worker.onmessage = ({ data }) => this.#hear(data);
    const invited = !location.hash && !content.network && !content.data;
    this.settings = this.#fromAddress(start);
    this.controls = new Controls(this, this.settings);
    this.#listen();
    this.begin();
    this.story = new Story(this);
    // Who follows a link, or brings a network or data, knows the page.
    if (invited) this.story.open();
    addEventListener("hashchange", () => {
      if (location.hash.slice(1) === settingsToFragment(this.settings)) return;
      Object.assign(this.settings, this.#fromAddress(start));
      this.controls.show();
      this.begin();
    });
  }

  #fromAddress(start) {
    try {
      const settings = settingsFromFragment(location.hash, start);
      if (settings.data === "given" && !this.points) throw new Error("this page came without data");
      this.say("");
      return settings;
    } catch (error) {
      this.say(`The address behind # is not used: ${error.message}.`);
      return { ...start };
    }
  }

  #listen() {
    const listen = (id, event, action) =>
      document.getElementById(id).addEventListener(event, action);
    listen("run", "click", () => this.#tell({ kind: this.running ? "pause" : "play" }));
    listen("step", "click", () => this.#tell({ kind: "step", epochs: 0 }));
    listen("epoch", "click", () => this.#tell({ kind: "step", epochs: 1 }));
    listen("restart", "click", () => this.begin());
    listen("table", "change", ({ target }) => {
      this.#readTable(target.files[0]);
      target.value = "";
    });
    const page = document.documentElement;
    page.addEventListener("dragover", (event) => event.preventDefault());
    page.addEventListener("drop", (event) => {
      event.preventDefault();
      this.#readTable(event.dataTransfer.files[0]);
    });
    listen("speed", "change", ({ target }) => {
      this.#tell({ kind: "speed", rate: Number(target.value) });
    });
  }

  /** The reader's own data, or a network, from a file. */
  async #readTable(file) {
    if (!file) return;
    try {
      if (file.size > MOST_BYTES) throw new Error(`it has more than ${number(MOST_BYTES)} bytes`);
      const text = await file.text();
      if (/^\s*\{/.test(text)) {
        this.load(networkFromJson(text, file.name));
        this.say("");
        return;
      }
      const { points, labels } = readTable(text);
      this.points = points;
      document.querySelector("option[value=given]").hidden = false;
      this.settings.data = "given";
      this.settings.batch = Math.min(this.settings.batch, Math.max(1, Math.floor(points.length / 10)));
      this.controls.show();
      this.begin();
      this.say(
        `${file.name}: ${number(points.length)} points, columns standardised; classes ` +
          `${labels.map((label, i) => `${i}: ${shortened(label)}`).join(", ")}.`,
      );
    } catch (error) {
      this.say(`${file.name}: ${error.message}.`);
    }
  }

  #tell(message) {
    this.worker.postMessage(message);
  }

  /** How many outputs the data need. */
  get outputs() {
    if (this.settings.data !== "given") return 1;
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
    const widths = [2, ...settings.hidden, this.outputs];
    const given = this.given?.widths.join() === widths.join() ? this.given : null;
    this.curves.clear();
    this.#show(train, widths);
    this.noteSettings();
    const start = { ...settings, method };
    this.#tell({ kind: "start", settings: start, train, test, network: given && { ...given } });
  }

  /** A view of a network of these widths, on these data. */
  #show(train, widths) {
    const columns = [0, 1].map((axis) => train.x.filter((_, i) => i % 2 === axis));
    const reach = d3.max(train.x, Math.abs);
    this.content = {
      title: document.title,
      inputs: 2,
      outputs: widths.at(-1),
      extent: reach <= 2.25 && reach > 0.75 ? 2.25 : 1.1 * reach || 2.25,
      data: new Data(columns, train.y),
      plane: true,
      paths: true,
      tallest: Math.min(640, Math.max(470, innerHeight - 430)),
    };
    this.views[0]?.root.remove();
    const view = new View(this, this.content, "view-0");
    this.views = [view];
    this.fresh = true;
    document.getElementById("views").append(view.root);
    for (const name of ["paths", "test"]) {
      view.root.querySelector(`[data-count=${name}]`).hidden = false;
    }
    // The training goes on from what is changed by hand: there is no way back but to start again.
    for (const name of ["undo", "redo", "reset"]) {
      view.root.querySelector(`[data-action=${name}]`).hidden = true;
    }
    view.root.querySelector("[data-count=accuracy] dt").textContent = "accuracy on training data";
  }

  #hear(message) {
    if (message.kind === "refused") {
      this.say(`${message.reason}.`);
      return;
    }
    const wanted = this.news === null || this.news === undefined;
    const points = [...(this.news?.points ?? []), ...message.points];
    this.news = { ...message, points };
    if (wanted) requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    const { values, kept, points, ...news } = this.news;
    this.news = null;
    const [view] = this.views;
    if (this.fresh) this.#open(view, values, kept);
    else view.follow(values, kept);
    this.curves.add(points);
    this.records.note(this.settings, points);
    this.running = news.running;
    const test = this.curves.points.at(-1)?.test;
    view.root.querySelector("[data-count=test] .value").textContent = test
      ? percent(test.accuracy)
      : "no data";
    const run = document.getElementById("run");
    run.textContent = news.running ? "Pause" : news.done ? "Train on" : "Play";
    run.setAttribute("aria-pressed", String(news.running));
    document.getElementById("progress").textContent =
      `epoch ${number(news.epoch)} of ${number(news.lastEpoch)}`;
    document.getElementById("play").dataset.epoch = news.epoch;
    document.getElementById("play").dataset.state = news.running ? "running" : "paused";
    this.#tell({ kind: "seen" });
  }

  #open(view, values, kept) {
    this.fresh = false;
    const { settings } = this;
    const widths = [2, ...settings.hidden, this.content.outputs];
    const network = new Network("", widths, values, kept, settings.activation);
    network.label = widths.join("-");
    // Every unit has its place, whether or not something touches it by now.
    view.open(network, widths.map((width) => new Set(d3.range(width))));
    view.root.querySelector(".label").hidden = true;
  }

  /** What was set is told to the training that goes on. */
  set() {
    this.#tell({ kind: "set", settings: this.settings });
    this.noteSettings();
  }

  /** The settings as they are, in the address. */
  noteSettings() {
    const fragment = settingsToFragment(this.settings);
    history.replaceState(null, "", fragment ? `#${fragment}` : location.href.split("#")[0]);
  }

  prune() {
    const { method, keep } = this.settings;
    this.say("");
    if (Object.hasOwn(DURING, method)) {
      this.begin(method);
      this.#tell({ kind: "play" });
    } else {
      this.#tell({ kind: "prune", method, keep });
    }
  }

  train() {
    this.#tell({ kind: "play" });
  }

  /** Sets a method and a budget, and prunes. */
  choose(method, keep) {
    Object.assign(this.settings, { method, keep });
    this.controls.show();
    this.prune();
  }

  removeDisconnected() {
    this.views[0].root.querySelector("[data-action=disconnected]").click();
  }

  changed(indices) {
    const { values, kept } = this.views[0].network;
    const changes = indices.map((index) => ({ index, value: values[index], kept: kept[index] }));
    this.#tell({ kind: "edit", changes });
  }

  load(network) {
    const { widths } = network;
    const hidden = widths.slice(1, -1);
    if (widths[0] !== 2 || widths.at(-1) !== this.outputs) {
      throw new Error(
        `its widths are ${widths.join("-")}, but these data need 2 inputs and ` +
          `${this.outputs} output${this.outputs === 1 ? "" : "s"}`,
      );
    }
    Object.assign(this.settings, { hidden: readSetting("hidden", hidden.join("-")) });
    this.settings.activation = "relu";
    this.given = network;
    this.controls.show();
    this.begin();
  }
}

/** The points of a page's data. */
function pointsOf({ x, y }) {
  const flat = new Float32Array(bytesOf(x).buffer);
  return Array.from(new Uint16Array(bytesOf(y).buffer), (label, i) => ({
    x: [flat[2 * i], flat[2 * i + 1]],
    label,
  }));
}

const page = new PlayPage();
window.playground = page; // for the console
try {
  page.open(JSON.parse(document.getElementById("content").textContent));
} catch (error) {
  page.say(`This page cannot begin: ${error.message}`);
}
