// The page about finished networks: reads its content and makes the views it asks for.

class Page extends Shell {
  open(content) {
    document.title = content.title;
    document.getElementById("title").textContent = content.title;
    document.getElementById("about").textContent = content.about;
    const data = content.data && Data.decode({ ...content.data, inputs: content.inputs });
    this.content = { features: null, ...content, data, plane: content.inputs === 2 };
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
    const network = this.#network(i);
    this.views[view].open(network, this.keep);
    this.showing = this.views.map((_, at) => (at === view ? i : (this.showing?.[at] ?? i)));
    this.chart?.mark(this.showing);
  }

  #network(i) {
    const { networks, features } = this.content;
    return Network.decode({ ...networks[i], features });
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
    const frames = networks.map((_, i) => this.#network(i));
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

  load(network) {
    const { widths } = network;
    const { features, outputs, plane } = this.content;
    const inputs = features?.length ?? this.content.inputs;
    if (widths[0] !== inputs || widths.at(-1) !== outputs) {
      throw new Error(
        `its widths are ${widths.join("-")}, but this page's data need ` +
          `${inputs} inputs and ${outputs} outputs`,
      );
    }
    const own = (names) => (names ?? PLANE).join(", ");
    if (plane && own(network.features) !== own(features)) {
      throw new Error(`its inputs are ${own(network.features)}, this page's ${own(features)}`);
    }
    this.views.at(-1).open(network);
  }
}

const page = new Page();
Object.assign(window, { playground: page }); // for the console
try {
  page.open(JSON.parse(document.getElementById("content").textContent));
} catch (error) {
  page.say(`This page cannot show its network: ${error.message}`);
}
