// Playing a run, frame by frame.

class Film {
  /** `show(i)` shows frame i of `count`. */
  constructor(root, count, show) {
    this.root = root;
    this.count = count;
    this.show = show;
    this.frame = 0;
    this.slider = root.querySelector("input[type=range]");
    this.playButton = root.querySelector("[data-film=play]");
    this.speed = root.querySelector("select");
    this.slider.max = count - 1;
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
    root.querySelector("[data-film=back]").addEventListener("click", () => this.go(this.frame - 1));
    root.querySelector("[data-film=on]").addEventListener("click", () => this.go(this.frame + 1));
    this.playButton.addEventListener("click", () => (this.timer ? this.pause() : this.#play()));
    root.hidden = false;
  }

  /** Stops, and shows a frame. */
  go(frame) {
    this.pause();
    this.#set(frame);
  }

  pause() {
    clearTimeout(this.timer);
    this.timer = null;
    this.playButton.textContent = "Play";
  }

  #play() {
    this.playButton.textContent = "Pause";
    this.#set(this.frame === this.count - 1 ? 0 : this.frame + 1);
    this.#next();
  }

  #next() {
    this.timer = setTimeout(() => {
      if (this.frame === this.count - 1) {
        this.pause();
        return;
      }
      this.#set(this.frame + 1);
      this.#next();
    }, Number(this.speed.value));
  }

  #set(frame) {
    this.frame = Math.max(0, Math.min(this.count - 1, frame));
    this.slider.value = this.frame;
    this.slider.setAttribute("aria-valuetext", `frame ${this.frame + 1} of ${this.count}`);
    this.show(this.frame);
  }
}
