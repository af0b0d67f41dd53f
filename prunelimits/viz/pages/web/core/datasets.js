// Two classes in the plane, drawn from a seed. Of the Cubist Spiral 49,982 points are the published
// ones, which the library has by default; of any other number they are evenly spaced.

const SPIRAL = { first: Math.PI, last: 5 * Math.PI, turn: 0.4 * Math.PI, published: 50000 };

/** The vertices of both arms of a spiral of so many angles, as `prunelimits.datasets` has them. */
function spiralArms(/** @type {number} */ angles) {
  const { first, last, turn } = SPIRAL;
  const thetas = Array.from({ length: angles }, (_, i) => {
    return first + ((last - first) * i) / (angles - 1) + turn;
  });
  return [15, -15].map((side) =>
    thetas.map((theta) => {
      const radius = 10 * theta + Math.PI + side;
      return [Math.cos(theta) * radius, Math.sin(theta) * radius];
    }),
  );
}

/** So many points along a polyline, each in the middle of an equal piece of its length. */
function pointsAlong(/** @type {number[][]} */ vertices, /** @type {number} */ points) {
  const lengths = vertices.slice(1).map(([x, y], i) => {
    return Math.hypot(x - vertices[i][0], y - vertices[i][1]);
  });
  const whole = lengths.reduce((a, b) => a + b, 0);
  const result = [];
  let edge = 0;
  let passed = 0;
  for (let point = 0; point < points; point++) {
    const place = ((point + 0.5) * whole) / points;
    while (edge < lengths.length - 1 && passed + lengths[edge] < place) passed += lengths[edge++];
    const share = (place - passed) / lengths[edge];
    const [from, to] = [vertices[edge], vertices[edge + 1]];
    result.push([from[0] + share * (to[0] - from[0]), from[1] + share * (to[1] - from[1])]);
  }
  return result;
}

/** The points of the published code: every edge has its share, rounded down, both ends included. */
function publishedSpiral() {
  return spiralArms(17).flatMap((arm) => {
    const lengths = arm.slice(1).map(([x, y], i) => Math.hypot(x - arm[i][0], y - arm[i][1]));
    const whole = lengths.reduce((a, b) => a + b, 0);
    return lengths.flatMap((length, edge) => {
      const points = Math.floor(((length / whole) * SPIRAL.published) / 2);
      const [from, to] = [arm[edge], arm[edge + 1]];
      return Array.from({ length: points }, (_, i) => {
        const share = i / (points - 1);
        return [from[0] + share * (to[0] - from[0]), from[1] + share * (to[1] - from[1])];
      });
    });
  });
}

/** Mean and standard deviation of both coordinates; `spare`: what is taken off the count. */
function momentsOf(/** @type {number[][]} */ points, spare = 0) {
  return [0, 1].map((axis) => {
    const mean = points.reduce((sum, point) => sum + point[axis], 0) / points.length;
    const squares = points.reduce((sum, point) => sum + (point[axis] - mean) ** 2, 0);
    return { mean, deviation: Math.sqrt(squares / (points.length - spare)) };
  });
}

function standardSpiral(size, angles, moments) {
  const arms = spiralArms(angles);
  const counts = [size - Math.floor(size / 2), Math.floor(size / 2)];
  return arms.flatMap((arm, label) => {
    return pointsAlong(arm, counts[label]).map((point) => ({
      x: standardised(point, moments),
      label,
    }));
  });
}

function standardised(/** @type {number[]} */ point, moments) {
  return point.map((value, axis) => (value - moments[axis].mean) / moments[axis].deviation);
}

/** Half of the points in each class: `make(label)` gives one. */
function halves(size, make) {
  return Array.from({ length: size }, (_, i) => {
    const label = i < size - Math.floor(size / 2) ? 0 : 1;
    return { x: make(label), label };
  });
}

/** @type {Object<string, (size: number, random: Random) => {x: number[], label: number}[]>} */
const DATASETS = {
  cubist(size) {
    const published = publishedSpiral();
    const moments = momentsOf(published, 1);
    if (size !== published.length) return standardSpiral(size, 17, moments);
    return published.map((point, i) => {
      return { x: standardised(point, moments), label: i < published.length / 2 ? 0 : 1 };
    });
  },
  spiral: (size) => {
    const dense = spiralArms(16001).flatMap((arm) => pointsAlong(arm, 100000));
    return standardSpiral(size, 16001, momentsOf(dense));
  },
  circles: (size, random) =>
    halves(size, (label) => {
      const angle = 2 * Math.PI * random.uniform();
      const radius = label ? 0.75 * Math.sqrt(random.uniform()) : 1.3 + 0.6 * random.uniform();
      return [radius * Math.cos(angle), radius * Math.sin(angle)];
    }),
  xor: (size, random) =>
    halves(size, (label) => {
      const [x, y] = [0.1 + 1.8 * random.uniform(), 0.1 + 1.8 * random.uniform()];
      const side = random.uniform() < 0.5 ? -1 : 1;
      return [side * x, (label ? 1 : -1) * side * y];
    }),
  gaussians: (size, random) =>
    halves(size, (label) => {
      const centre = label ? 1 : -1;
      return [centre + 0.4 * random.normal(), centre + 0.4 * random.normal()];
    }),
};

/** @returns {Samples} */
function samplesOf(/** @type {{x: number[], label: number}[]} */ points) {
  const inputs = points[0]?.x.length ?? 0;
  return {
    x: Float32Array.from(points.flatMap(({ x }) => x)),
    y: Uint16Array.from(points, ({ label }) => label),
    inputs,
    size: points.length,
  };
}

/**
 * A data set by its name and a seed, parted in what is trained on and what is only tested on.
 *
 * @param {{data: string, samples: number, noise: number, test: number, seed: number}} settings
 * @param {{x: number[], label: number}[] | null} given points of the reader's own
 * @returns {{train: Samples, test: Samples}}
 */
function drawData({ data, samples, noise, test, seed }, given = null) {
  const random = new Random(seed);
  const points = data === "given" ? given : DATASETS[data](samples, random);
  const shifted = points.map(({ x, label }) => ({
    x: noise ? x.map((value) => value + noise * random.normal()) : x,
    label,
  }));
  const order = Array.from(random.permutation(points.length), (i) => shifted[i]);
  const tested = Math.round(test * points.length);
  return { test: samplesOf(order.slice(0, tested)), train: samplesOf(order.slice(tested)) };
}
