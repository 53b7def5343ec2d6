// Small helpers around the document. Text from workspaces enters it through textContent only, never as markup.

export const $ = (id) => document.getElementById(id);

// element('a', { class: 'x', href: '/' }, 'text', child): what is null or false is left out.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? '' : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

// Changes only what is different, so that a reader's place and a screen reader's turn are kept.
export function say(at, text) {
  if (at.textContent !== text) at.textContent = text;
}

export function show(at, visible) {
  if (at.hidden === visible) at.hidden = !visible;
}

export function set(at, name, value) {
  if (value === null || value === false) at.removeAttribute(name);
  else if (at.getAttribute(name) !== String(value)) at.setAttribute(name, value);
}

// Keeps one child of `parent` for each item, in their order, and never makes anew what is there: focus stays.
export function each(parent, items, keyOf, make, update) {
  const views = parent.views ??= new Map();
  const wanted = new Set(items.map(keyOf));
  for (const [key, view] of views) {
    if (!wanted.has(key)) { view.root.remove(); views.delete(key); }
  }
  items.forEach((item, index) => {
    const key = keyOf(item);
    let view = views.get(key);
    if (!view) { view = make(item); views.set(key, view); }
    if (parent.children[index] !== view.root) parent.insertBefore(view.root, parent.children[index] ?? null);
    update(view, item);
  });
}

// Only these may be followed: the text comes from workspaces and repositories.
export function safeUrl(text) {
  try {
    const url = new URL(text);
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : null;
  } catch { return null; }
}

// Said aloud by screen readers, seen by nobody.
export function announce(text) {
  $('announcer').textContent = text;
}

export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 10) return `${minutes} min ${whole % 60} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

export const clock = (time) => new Date(time).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });

export async function copy(text, button) {
  const label = button.dataset.label ??= button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = 'Copied';
    announce('Copied');
  } catch {
    button.textContent = 'Select and copy by hand';
  }
  setTimeout(() => { button.textContent = label; }, 2000);
}
