// A network as flat arrays: its parameters in the order of the state dict, and which are kept.
// Layer 0 are the inputs; layer l > 0 is computed by `layers.{l-1}` of the Python model.

const BIAS = -1; // instead of a source

/** @typedef {"relu"|"tanh"|"linear"} Activation */

/** How a hidden unit answers, and the slope there as a function of the answer.
 * @type {Object<string, {of: (z: number) => number, slope: (answer: number) => number}>} */
const ACTIVATIONS = {
  relu: { of: (z) => (z > 0 ? z : 0), slope: (a) => (a > 0 ? 1 : 0) },
  tanh: { of: Math.tanh, slope: (a) => 1 - a * a },
  linear: { of: (z) => z, slope: () => 1 },
};

class Network {
  /**
   * @param {string} label
   * @param {number[]} widths inputs first
   * @param {Float32Array} values of all parameters
   * @param {Uint8Array} kept flags of all parameters
   * @param {Activation} activation of hidden units
   * @param {string[]|null} features of the plane that its inputs are; null: what the data have
   */
  constructor(label, widths, values, kept, activation = "relu", features = null) {
    this.label = label;
    this.activation = activation;
    this.features = features;
    /** @type {string[]|null} what the view that it is on calls the classes; null: by numbers */
    this.classes = null;
    this.widths = widths;
    this.values = values;
    this.kept = kept;
    this.last = widths.length - 1;
    this.starts = [0]; // where the parameters of each layer begin
    for (let layer = 1; layer <= this.last; layer++) {
      this.starts.push(parametersBefore(widths, layer));
    }
    const size = parametersBefore(widths, this.last + 1);
    if (values.length !== size || kept.length !== size) {
      throw new Error(`widths ${widths.join("-")} need ${size} parameters, got ${values.length}`);
    }
    for (let index = 0; index < size; index++) {
      if (!Number.isFinite(values[index])) {
        throw new Error(`parameters must be finite, ${this.address(index)} is ${values[index]}`);
      }
    }
  }

  /** A network as pages hold it: numbers and flags as letters. */
  static decode({ label, widths, values, kept, activation = "relu", features = null }) {
    const bits = bytesOf(kept);
    const numbers = new Float32Array(bytesOf(values).buffer);
    const flags = Uint8Array.from(numbers, (_, i) => (bits[i >> 3] >> (i & 7)) & 1);
    const answers = /** @type {Activation} */ (activation);
    return new Network(label, widths, numbers, flags, answers, features);
  }

  copy() {
    const { label, widths, values, kept, activation, features } = this;
    return new Network(label, widths, values.slice(), kept.slice(), activation, features);
  }

  /** The inverse of `decode`. */
  encode() {
    const { label, widths, values, kept, activation, features } = this;
    const bits = new Uint8Array(Math.ceil(kept.length / 8));
    kept.forEach((flag, i) => (bits[i >> 3] |= flag << (i & 7)));
    const numbers = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return {
      label,
      widths,
      values: base64Of(numbers),
      kept: base64Of(bits),
      nonzeros: this.nonzeros(),
      activation,
      features,
    };
  }

  weight(layer, unit, source) {
    return this.starts[layer] + unit * this.widths[layer - 1] + source;
  }

  bias(layer, unit) {
    return this.starts[layer] + this.widths[layer] * this.widths[layer - 1] + unit;
  }

  /** The layer and unit a parameter belongs to, and its source: an index, or BIAS. */
  place(index) {
    let layer = 1;
    while (layer < this.last && index >= this.starts[layer + 1]) layer++;
    const within = index - this.starts[layer];
    const sources = this.widths[layer - 1];
    const weights = this.widths[layer] * sources;
    if (within >= weights) return { layer, unit: within - weights, source: BIAS };
    return { layer, unit: Math.floor(within / sources), source: within % sources };
  }

  /** What Python calls a parameter. */
  address(index) {
    const { layer, unit, source } = this.place(index);
    if (source === BIAS) return `layers.${layer - 1}.bias[${unit}]`;
    return `layers.${layer - 1}.weight[${unit}, ${source}]`;
  }

  alive(index) {
    return this.kept[index] === 1 && this.values[index] !== 0;
  }

  /** The value a parameter computes with. */
  effect(index) {
    return this.kept[index] ? this.values[index] : 0;
  }

  /** Sources with a nonzero weight to a unit. */
  sources(layer, unit) {
    const result = [];
    for (let source = 0; source < this.widths[layer - 1]; source++) {
      if (this.alive(this.weight(layer, unit, source))) result.push(source);
    }
    return result;
  }

  /** Calls `visit(index, layer, unit, source)` for every weight. */
  eachWeight(visit) {
    for (let layer = 1; layer <= this.last; layer++) {
      let index = this.starts[layer];
      for (let unit = 0; unit < this.widths[layer]; unit++) {
        for (let source = 0; source < this.widths[layer - 1]; source++) {
          visit(index++, layer, unit, source);
        }
      }
    }
  }

  nonzeros() {
    let count = 0;
    for (let index = 0; index < this.values.length; index++) count += Number(this.alive(index));
    return count;
  }

  largestWeight() {
    let largest = 0;
    this.eachWeight((index) => {
      largest = Math.max(largest, Math.abs(this.effect(index)));
    });
    return largest || 1;
  }

  /** The kept weight nearest to zero, the first of equals; null if there is none. */
  weakest() {
    let weakest = null;
    this.eachWeight((index) => {
      if (!this.alive(index)) return;
      const size = Math.abs(this.values[index]);
      if (weakest === null || size < Math.abs(this.values[weakest])) weakest = index;
    });
    return weakest;
  }
}

function parametersBefore(widths, layer) {
  let count = 0;
  for (let l = 1; l < layer; l++) count += widths[l] * (widths[l - 1] + 1);
  return count;
}

function base64Of(/** @type {Uint8Array} */ bytes) {
  let letters = "";
  for (const byte of bytes) letters += String.fromCharCode(byte);
  return btoa(letters);
}

function bytesOf(/** @type {string} */ base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}
