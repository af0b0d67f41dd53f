// The page: reads its content, makes the views it asks for, and listens to the settings.

class Page {
  constructor() {
    this.tipBox = document.getElementById("tip");
    this.views = [];
    this.messageBox = document.getElementById("message");
    this.#settings();
  }

  open(content) {
    document.title = content.title;
    document.getElementById("title").textContent = content.title;
    document.getElementById("about").textContent = content.about;
    const data = content.data && Data.decode({ ...content.data, inputs: content.inputs });
    this.content = { ...content, data, plane: content.inputs === 2 };
    this.holder = document.getElementById("views");
    this.#addView();
    const openers = {
      single: () => this.show(0),
      comparison: () => {
        this.#addView();
        this.show(0, 0);
        this.show(1, 1);
      },
      gallery: () => this.#gallery(),
      film: () => this.#film(),
    };
    openers[content.mode]();
    if (data === null && !this.content.plane) throw new Error("without a plane, data is needed");
  }

  /** Shows network i in a view, by default the last one. */
  show(i, view = this.views.length - 1) {
    const network = Network.decode(this.content.networks[i]);
    this.views[view].open(network, this.keep);
    this.showing = this.views.map((_, at) => (at === view ? i : (this.showing?.[at] ?? i)));
    this.chart?.mark(this.showing);
  }

  #addView() {
    const view = new View(this, this.content, `view-${this.views.length}`);
    this.views.push(view);
    this.holder.append(view.root);
    this.holder.classList.toggle("two", this.views.length > 1);
    return view;
  }

  #gallery() {
    const { networks, first } = this.content;
    this.#chart(ParetoChart, (i) => this.show(i));
    const compare = document.getElementById("compare");
    compare.hidden = networks.length < 2;
    compare.addEventListener("click", () => {
      const beside = this.views.length === 1;
      compare.setAttribute("aria-pressed", String(beside));
      document.getElementById("compare-hint").hidden = !beside;
      if (beside) {
        this.#addView();
        this.show(this.showing[0], 1);
      } else {
        this.views.pop().root.remove();
        this.holder.classList.remove("two");
        this.showing.pop();
        this.chart.mark(this.showing);
      }
    });
    this.show(first);
  }

  #film() {
    const { networks } = this.content;
    const frames = networks.map((network) => Network.decode(network));
    // Every unit that is ever touched has its place from the first frame to the last.
    this.keep = frames[0].widths.map(() => new Set());
    for (const frame of frames) {
      frame.eachWeight((index, layer, unit, source) => {
        if (!frame.alive(index)) return;
        this.keep[layer].add(unit);
        this.keep[layer - 1].add(source);
      });
    }
    this.film = new Film(document.getElementById("film"), networks.length, (i) => this.show(i));
    this.#chart(RunChart, (i) => this.film.go(i));
    this.film.go(0);
  }

  #chart(Kind, choose) {
    document.getElementById("overview").hidden = false;
    this.chart = new Kind(document.getElementById("chart"), this.content, choose);
  }

  #settings() {
    const root = document.documentElement;
    const listen = (id, event, action) =>
      document.getElementById(id).addEventListener(event, action);
    listen("theme", "change", ({ target }) => {
      root.dataset.theme = target.value;
      this.recolour();
    });
    listen("palette", "change", ({ target }) => {
      root.dataset.palette = target.value;
      this.recolour();
    });
    listen("print", "click", () => window.print());
    listen("file", "change", ({ target }) => this.#openFile(target));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
    // Paper is white.
    window.addEventListener("beforeprint", () => {
      this.themeOnScreen = root.dataset.theme;
      root.dataset.theme = "light";
      this.recolour();
      for (const view of this.views) view.printout();
    });
    window.addEventListener("afterprint", () => {
      root.dataset.theme = this.themeOnScreen;
      this.recolour();
    });
    palette.read();
  }

  recolour() {
    palette.read();
    for (const view of this.views) view.repaint();
  }

  async #openFile(field) {
    const [file] = field.files;
    if (!file) return;
    try {
      const network = networkFromJson(await file.text(), file.name);
      const { widths } = network;
      if (widths[0] !== this.content.inputs || widths.at(-1) !== this.content.outputs) {
        throw new Error(
          `its widths are ${widths.join("-")}, but this page's data need ` +
            `${this.content.inputs} inputs and ${this.content.outputs} outputs`,
        );
      }
      this.views.at(-1).open(network);
      this.say("");
    } catch (error) {
      this.say(`${file.name}: ${error.message}`);
    }
    field.value = "";
  }

  /** A note beside the pointer; null takes it away. */
  tip(event, text = "") {
    this.tipBox.hidden = event === null;
    if (event === null) return;
    const { clientX, clientY } = event.touches?.[0] ?? event;
    this.tipBox.textContent = text;
    const { offsetWidth: width, offsetHeight: height } = this.tipBox;
    this.tipBox.style.left = `${Math.max(4, Math.min(clientX + 14, window.innerWidth - width - 8))}px`;
    this.tipBox.style.top = `${clientY + 18 + height > window.innerHeight ? clientY - height - 12 : clientY + 18}px`;
  }

  /** A message that stays until the next; an empty one takes it away. */
  say(text) {
    this.messageBox.textContent = text;
    this.messageBox.hidden = text === "";
  }

  announce(text) {
    document.getElementById("announcement").textContent = text;
  }
}

const page = new Page();
window.playground = page; // for the console
try {
  page.open(JSON.parse(document.getElementById("content").textContent));
} catch (error) {
  page.say(`This page cannot show its network: ${error.message}`);
}
