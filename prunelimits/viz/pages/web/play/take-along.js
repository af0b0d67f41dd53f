// What is taken along: a link that holds the network, and the film of the session as a page.

const MOST_FILM = 2_000_000; // bytes
const ABOUT_FILM = "A session of the playground, frame by frame. Every frame can be touched.";

/** A network's numbers and masks as letters that an address may hold. */
function networkToAddress(/** @type {Network} */ network) {
  const { values, kept } = network.encode();
  const plain = (/** @type {string} */ text) =>
    text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return `${plain(values)}.${plain(kept)}`;
}

/** The inverse, for known widths; throws an Error if it is no such network. */
function networkFromAddress(/** @type {string} */ text, widths, activation, features) {
  const [values, kept, ...rest] = text.split(".").map((part) => {
    return part.replaceAll("-", "+").replaceAll("_", "/");
  });
  try {
    if (kept === undefined || rest.length > 0) throw new Error("it has no masks");
    return Network.decode({ label: "", widths, values, kept, activation, features });
  } catch (error) {
    throw new Error(`weights do not fit the network of this address (${error.message})`);
  }
}

/**
 * The settings in an address and the network that it names or holds; null: none. Throws an Error
 * that says what is wrong with it.
 */
function readAddress(/** @type {string} */ fragment, page) {
  const parts = new URLSearchParams(fragment);
  const weights = parts.get("weights");
  parts.delete("weights");
  const settings = settingsFromFragment(parts.toString(), page.start);
  if (settings.data === "given" && !page.points) throw new Error("this page came without data");
  const widths = page.widths(settings);
  if (weights !== null) {
    const { activation, inputs } = settings;
    return { settings, given: networkFromAddress(weights, widths, activation, inputs) };
  }
  if (settings.start === OWN_START) return { settings, given: null };
  const given = page.presets.network(settings.start);
  if (given.widths.join() !== widths.join()) {
    const [its, wanted] = [given.widths.join("-"), widths.join("-")];
    throw new Error(`${settings.start} has widths ${its}, not ${wanted}`);
  }
  return { settings, given };
}

/** Puts a fragment behind the page's address. */
function showAddress(/** @type {string} */ fragment) {
  const own = location.href.split("#")[0];
  try {
    history.replaceState(null, "", fragment ? `${own}#${fragment}` : own);
  } catch {
    // A page in a frame, as in a notebook, may have no address of its own.
  }
}

/** A link with everything in it, in the address and, where that is allowed, ready to paste. */
async function shareLink(page) {
  const weights = networkToAddress(page.views[0].network);
  const parts = settingsToFragment({ ...page.settings, start: OWN_START });
  showAddress(`${parts}${parts && "&"}weights=${weights}`);
  if (location.protocol === "about:") {
    page.say("This frame has no address of its own: open the page in a tab for a link.");
    return;
  }
  let where = "stands in the address";
  try {
    await navigator.clipboard.writeText(location.href);
    where = "is ready to paste";
  } catch {
    // Not every browser lets pages of a file write there.
  }
  page.say(`A link to this network and its settings ${where}.`);
}

/** Hands the frames to the reader as a page. */
function saveFilm(page, frames) {
  const text = filmOf(page, frames);
  if (text.length > MOST_FILM) {
    page.say(`The film would have ${number(text.length)} bytes; take fewer samples.`);
    return;
  }
  download(text, "film.html", "text/html");
}

/** Plays the frames in a tab of their own. */
function watchFilm(page, frames) {
  const file = new Blob([filmOf(page, frames)], { type: "text/html" });
  const address = URL.createObjectURL(file);
  if (window.open(address) === null) {
    page.say("The browser opens no tab from here: save the film, and open the file.");
  }
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

/** The frames as a page that plays them and needs nothing else. */
function filmOf(page, frames) {
  const { network } = page.views[0];
  const title = `${network.label}: ${frames.length} frames`;
  return filmPage(frames, network, page.samples, { ...page.content, title });
}

function filmPage(frames, network, samples, { title, extent, classes }) {
  const content = {
    mode: "film",
    title,
    about: ABOUT_FILM,
    inputs: 2,
    outputs: network.widths.at(-1),
    extent,
    classes,
    features: isPlane(network.features) ? null : network.features,
    networks: frames.map(({ label, accuracy, values, kept }) => {
      const { widths, activation } = network;
      return { ...new Network(label, widths, values, kept, activation).encode(), accuracy };
    }),
    data: {
      x: base64Of(new Uint8Array(samples.x.buffer, samples.x.byteOffset, samples.x.byteLength)),
      y: base64Of(new Uint8Array(samples.y.buffer, samples.y.byteOffset, samples.y.byteLength)),
    },
    target: null,
    first: 0,
  };
  const [head, middle, tail] = JSON.parse(document.getElementById("film-page").textContent);
  // JSON that no HTML parser takes for anything else.
  const inert = JSON.stringify(content).replace(/[<>&]/g, (letter) => {
    return `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  const library = document.querySelector("script:not([type])").textContent;
  return head + inert + middle + library + tail;
}
