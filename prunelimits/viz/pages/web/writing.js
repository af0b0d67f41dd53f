// Text and marks that change rarely are written rarely: writing the same again costs a layout.

/** Writes a text, where it is another. */
function write(/** @type {Element} */ element, /** @type {string} */ text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets an attribute, where it is another. */
function mark(/** @type {Element} */ element, /** @type {string} */ name, /** @type {string} */ value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}
