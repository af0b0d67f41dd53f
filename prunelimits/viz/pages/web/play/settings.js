// What a reader can set, as it stands in the address behind `#`: `data=circles&hidden=8-8&seed=3`.

const MOST_LAYERS = 5;
const MOST_WIDTH = 16;
const OWN_START = "random"; // where a network begins that is no preset
const METHODS = ["none", ...Object.keys(AT_ONCE), ...Object.keys(DURING)];

/** @typedef {{default: any, read: (text: string) => any, allowed: string}} Field */

/** @returns {Field} */
function choiceField(start, options) {
  return {
    default: start,
    read: (text) => (options.includes(text) ? text : undefined),
    allowed: `one of ${options.join(", ")}`,
  };
}

/** @returns {Field} */
function numberField(start, least, most, whole = false) {
  return {
    default: start,
    read(text) {
      const value = /^\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
      if (!(value >= least && value <= most) || (whole && !Number.isInteger(value))) return undefined;
      return value;
    },
    allowed: `${whole ? "a whole number" : "a number"} from ${least} to ${most}`,
  };
}

/** @type {Object<string, Field>} */
const FIELDS = {
  start: {
    default: OWN_START,
    read: (text) => (/^[a-z0-9-]{1,60}$/.test(text) ? text : undefined),
    allowed: "random or the name of a preset",
  },
  data: choiceField("cubist", [...Object.keys(DATASETS), "given"]),
  samples: numberField(2000, 50, 50000, true),
  noise: numberField(0, 0, 1),
  test: numberField(0.2, 0, 0.9),
  inputs: {
    default: PLANE,
    read: (text) => checkedFeatures(text.split("-")),
    allowed: `different ones of ${Object.keys(FEATURES).join(", ")}, with - between them`,
  },
  hidden: {
    default: [16, 16, 16],
    read(text) {
      const widths = text.split("-").map((part) => (/^\d+$/.test(part) ? Number(part) : NaN));
      const fits = widths.every((width) => width >= 1 && width <= MOST_WIDTH);
      return fits && widths.length <= MOST_LAYERS ? widths : undefined;
    },
    allowed: `one to ${MOST_LAYERS} widths from 1 to ${MOST_WIDTH}, such as 16-16-16`,
  },
  activation: choiceField("relu", Object.keys(ACTIVATIONS)),
  lr: numberField(0.05, 0.00001, 10),
  batch: numberField(64, 1, 50000, true),
  momentum: numberField(0.9, 0, 0.999),
  l1: numberField(0, 0, 1),
  l2: numberField(0.0005, 0, 1),
  schedule: choiceField("cosine", ["constant", "cosine", "step"]),
  epochs: numberField(200, 1, 10000, true),
  seed: numberField(0, 0, 4294967295, true),
  method: choiceField("none", METHODS),
  keep: numberField(60, 0, 1300, true),
};

/** The settings by default. */
function defaultSettings() {
  return Object.fromEntries(Object.entries(FIELDS).map(([name, field]) => [name, field.default]));
}

/** A setting as text. */
function settingText(value) {
  return Array.isArray(value) ? value.join("-") : String(value);
}

/** Only what differs from the defaults. */
function settingsToFragment(settings) {
  const parts = new URLSearchParams();
  for (const [name, field] of Object.entries(FIELDS)) {
    const text = settingText(settings[name]);
    if (text !== settingText(field.default)) parts.set(name, text);
  }
  return parts.toString();
}

/**
 * The settings in a fragment; throws an Error that names the setting, what it is and what is
 * allowed.
 */
function settingsFromFragment(fragment, start = defaultSettings()) {
  const settings = { ...start };
  const seen = new Set();
  for (const [name, text] of new URLSearchParams(fragment.replace(/^#/, ""))) {
    if (!Object.hasOwn(FIELDS, name)) throw new Error(`there is no setting ${shortened(name)}`);
    if (seen.has(name)) throw new Error(`${name} is given twice`);
    seen.add(name);
    settings[name] = readSetting(name, text);
  }
  return settings;
}

/** A setting from text; throws an Error as above. */
function readSetting(name, text) {
  const value = FIELDS[name].read(text);
  if (value === undefined) {
    throw new Error(`${name} must be ${FIELDS[name].allowed}, got ${shortened(text)}`);
  }
  return value;
}

function shortened(text) {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}

/** How many weights a network of these hidden layers has. */
function weightCount({ inputs, hidden }, outputs = 1) {
  const widths = [inputs.length, ...hidden, outputs];
  return widths.slice(1).reduce((sum, width, i) => sum + width * widths[i], 0);
}
