// What every page has: the settings of its looks, a message, a tip, files to open.

class Shell {
  constructor() {
    this.tipBox = document.getElementById("tip");
    this.views = [];
    this.messageBox = document.getElementById("message");
    this.#settings();
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
    listen("hard", "change", ({ target }) => {
      palette.hard = target.checked;
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
      this.load(networkFromJson(await file.text(), file.name));
      this.say("");
    } catch (error) {
      this.say(`${file.name}: ${error.message}`);
    }
    field.value = "";
  }

  /** Shows a network that the reader opened; throws an Error if it does not fit. */
  load(/** @type {Network} */ network) {
    throw new Error("this page opens no networks");
  }

  /** Parameters of a view have been changed by hand. */
  changed(/** @type {number[]} */ indices) {}

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
