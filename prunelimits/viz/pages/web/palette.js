// Colours come from the style sheet, so that theme and palette are chosen in one place.

const SHADES = 512; // on either side of zero: neighbours differ by less than a grey level

/** Okabe and Ito's colours, for more than two classes: told apart by colour-blind readers too. */
const CLASS_COLOURS = [
  "#0072b2",
  "#e69f00",
  "#009e73",
  "#cc79a7",
  "#56b4e9",
  "#d55e00",
  "#f0e442",
  "#7f7f7f",
];

const palette = {
  positive: "",
  negative: "",
  zero: "",
  ink: "",
  grey: "",
  hard: false, // whether a decision is painted without its certainty
  shades: new Uint32Array(2 * SHADES + 1), // as canvases store a pixel, from -1 to 1

  /** Reads the colours of the theme and palette in force. */
  read() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["positive", "negative", "zero", "ink", "grey"]) {
      this[name] = style.getPropertyValue(`--${name}`).trim();
    }
    for (let i = -SHADES; i <= SHADES; i++) {
      this.shades[SHADES + i] = pixel(
        mix(this.zero, i < 0 ? this.negative : this.positive, Math.abs(i) / SHADES),
      );
    }
  },

  /** The colour of a value in [-1, 1]. */
  colour(value) {
    const end = value < 0 ? this.negative : this.positive;
    return `rgb(${mix(this.zero, end, Math.min(1, Math.abs(value)))
      .map(Math.round)
      .join(", ")})`;
  },

  /** The colour of a class. */
  classColour(label, classes) {
    if (classes === 2) return label ? this.positive : this.negative;
    if (classes <= CLASS_COLOURS.length) return CLASS_COLOURS[label];
    return d3.rgb(d3.interpolateSinebow(label / classes)).formatHex();
  },
};

function mix(start, end, share) {
  const [from, to] = [channels(start), channels(end)];
  return from.map((channel, i) => channel + (to[i] - channel) * share);
}

function channels(colour) {
  const { r, g, b } = d3.rgb(colour);
  return [r, g, b];
}

/** An opaque colour as the four bytes of a canvas's pixel. */
function pixel(colour) {
  return new Uint32Array(Uint8ClampedArray.from([...colour, 255]).buffer)[0];
}

/** Paints a square image of values on a canvas; `scale` maps them to [-1, 1]. */
function paintValues(canvas, values, scale) {
  const { pixels, show } = imageOf(canvas, values.length);
  const { shades } = palette;
  const factor = SHADES * scale;
  for (let i = 0; i < values.length; i++) {
    pixels[i] = shades[SHADES + Math.round(values[i] * factor)];
  }
  show();
}

const STEEP = 16; // beyond this logit a decision has its full colour
const STEPS = 256; // of a logit: neighbours differ by less than a grey level
const UNDECIDED = -0.5; // painted for a logit of exactly zero, which is class 0 and must look so
const CERTAINTY = Int16Array.from({ length: 2 * STEEP * STEPS + 1 }, (_, i) => {
  return SHADES + Math.round(SHADES * Math.tanh((i / STEPS - STEEP) / 2));
});

/** Paints the image of the decision: the probability of class 1 less that of class 0. */
function paintDecision(canvas, logits) {
  const { pixels, show } = imageOf(canvas, logits.length);
  const { shades, hard } = palette;
  if (hard) {
    // A logit of zero is class 0.
    for (let i = 0; i < logits.length; i++) pixels[i] = shades[logits[i] > 0 ? 2 * SHADES : 0];
    show();
    return;
  }
  for (let i = 0; i < logits.length; i++) {
    const logit = Math.max(-STEEP, Math.min(STEEP, logits[i] || UNDECIDED));
    pixels[i] = shades[CERTAINTY[Math.round((logit + STEEP) * STEPS)]];
  }
  show();
}

/** Paints which of several classes is chosen. */
function paintClasses(canvas, classes, count) {
  const { pixels, show } = imageOf(canvas, classes.length);
  const colours = d3
    .range(count)
    .map((label) => pixel(channels(palette.classColour(label, count))));
  for (let i = 0; i < classes.length; i++) pixels[i] = colours[classes[i]];
  show();
}

/** The pixels of a square canvas; they are kept with it, as making them takes longer than filling. */
function imageOf(canvas, size) {
  const side = Math.round(Math.sqrt(size));
  if (canvas.width !== side || canvas.height !== side) {
    canvas.width = side;
    canvas.height = side;
    canvas.image = null;
  }
  const context = canvas.getContext("2d");
  canvas.image ??= context.createImageData(side, side);
  return {
    pixels: new Uint32Array(canvas.image.data.buffer),
    show: () => context.putImageData(canvas.image, 0, 0),
  };
}

/** The factor that maps values to [-1, 1]. */
function scaleOf(values) {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]));
  return largest > 0 ? 1 / largest : 1;
}
