// What parts of a network are called, on the screen and by screen readers.

const number = d3.format(",");
const percent = (share) => `${(100 * share).toFixed(2)} %`;
/** A parameter's value, with a minus sign as wide as a plus. */
const decimal = (value) => value.toPrecision(3).replace("-", "−");

const STATES = {
  live: "",
  constant: "constant: the same for every input",
  cut: "disconnected: takes no part in any output",
  pruned: "pruned",
};

/** What a class is called: the longest names are shortened by who gives them. */
function className(classes, label) {
  return classes?.[label] ?? `class ${label}`;
}

function unitName(network, layer, unit) {
  if (layer === 0) return `input ${inputName(network, unit)}`;
  if (layer < network.last) return `layer ${layer}, unit ${unit + 1}`;
  if (network.widths[layer] === 1) return "the output";
  const named = network.classes?.[unit];
  return `output ${unit + 1}${named === undefined ? "" : ` (${named})`}`;
}

function inputName(network, unit) {
  if (network.features) return FEATURES[network.features[unit]].shown;
  return `x${String(unit + 1).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit])}`;
}

function columnName(network, layer) {
  if (layer === 0) return network.widths[0] === 1 ? "input" : "inputs";
  if (layer < network.last) return `layer ${layer}`;
  return network.widths[layer] === 1 ? "output" : "outputs";
}

function parameterName(network, index) {
  const { layer, unit, source } = network.place(index);
  const to = unitName(network, layer, unit);
  if (source === BIAS) return `bias of ${to}`;
  return `weight from ${unitName(network, layer - 1, source)} to ${to}`;
}

/** A parameter with its value and whether it counts, as one line of text. */
function parameterText(network, reach, index) {
  const value = decimal(network.values[index]);
  const state = STATES[reach.parameter(index)];
  return `${parameterName(network, index)}: ${value}${state && `, ${state}`}`;
}

function unitText(network, reach, layer, unit) {
  const name = unitName(network, layer, unit);
  const parts = [name.charAt(0).toUpperCase() + name.slice(1)];
  if (layer > 0) {
    const sources = network.sources(layer, unit).length;
    parts.push(`${sources} weight${sources === 1 ? "" : "s"} in`);
    parts.push(`bias ${decimal(network.effect(network.bias(layer, unit)))}`);
  }
  const state = layer === 0 && !reach.reaches[0][unit] ? "unused" : STATES[reach.unit(layer, unit)];
  if (state) parts.push(state);
  return parts.join("; ");
}
