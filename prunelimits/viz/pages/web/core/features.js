// What a network is given of a point in the plane: its coordinates, and functions of them.

/** @typedef {{x: Float32Array, y: Uint16Array, inputs: number, size: number}} Samples
 *   `x` sample by sample; `y` the classes from 0. */

/** `shown`: as the page writes it. Names and values are those of `prunelimits.datasets.plane_features`.
 * @type {Object<string, {shown: string, of: (x1: number, x2: number) => number}>} */
const FEATURES = {
  x1: { shown: "x₁", of: (x1) => x1 },
  x2: { shown: "x₂", of: (_, x2) => x2 },
  x1x1: { shown: "x₁²", of: (x1) => x1 * x1 },
  x2x2: { shown: "x₂²", of: (_, x2) => x2 * x2 },
  x1x2: { shown: "x₁x₂", of: (x1, x2) => x1 * x2 },
  sinx1: { shown: "sin x₁", of: (x1) => Math.sin(x1) },
  sinx2: { shown: "sin x₂", of: (_, x2) => Math.sin(x2) },
};
const PLANE = ["x1", "x2"];

/** Whether these are the coordinates themselves, as without features. */
function isPlane(/** @type {string[]|null} */ features) {
  return features === null || features.join() === PLANE.join();
}

/**
 * The features of points, a column each; null: the columns as they are.
 *
 * @param {Float32Array[]} columns one a coordinate
 * @param {string[]|null} features
 */
function featureColumns(columns, features) {
  if (isPlane(features)) return columns;
  const [x1, x2] = columns;
  return features.map((name) => x1.map((value, i) => FEATURES[name].of(value, x2[i])));
}

/** Samples in the plane, by their features. */
function withFeatures(/** @type {Samples} */ samples, /** @type {string[]} */ features) {
  if (isPlane(features)) return samples;
  const { x, y, size } = samples;
  const inputs = features.length;
  const result = new Float32Array(size * inputs);
  for (let i = 0; i < size; i++) {
    features.forEach((name, k) => {
      result[i * inputs + k] = FEATURES[name].of(x[2 * i], x[2 * i + 1]);
    });
  }
  return { x: result, y, inputs, size };
}

/** Names of features, in the order in which they stand above; undefined if they are no such. */
function checkedFeatures(/** @type {any} */ names) {
  if (!Array.isArray(names) || names.length === 0) return undefined;
  const known = names.every((name) => typeof name === "string" && Object.hasOwn(FEATURES, name));
  if (!known || new Set(names).size < names.length) return undefined;
  return names;
}
