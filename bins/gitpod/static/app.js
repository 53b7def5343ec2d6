// The page: draws what the events say. After a break, or when the window is looked at again, everything is told anew.
import { $, element, say, set, show, each, announce } from './dom.js';
import { api } from './api.js';
import { makeCard, openLogs, showLife, showProgress, updateCard } from './card.js';

const known = new Map();  // what was told last of each workspace
let order = [];
let opening = null;       // a workspace made here, whose output is of interest

function draw() {
  const list = order.map((id) => known.get(id)).filter(Boolean);
  each($('workspaces'), list, (workspace) => workspace.id, makeCard, updateCard);
  show($('empty'), list.length === 0 && order.length === 0);
  const running = list.filter((workspace) => workspace.phase === 'running').length;
  say($('count'), list.length === 0 ? '' : `${running} of ${list.length} running`);
  document.title = running ? `(${running}) Workspaces` : 'Workspaces';
  const wanted = location.hash && viewOf(location.hash.slice(1));
  if (wanted) {
    // Whoever comes from a stopped workspace wants to start it.
    history.replaceState(null, '', '/');
    wanted.root.scrollIntoView({ block: 'nearest' });
    (wanted.start.hidden ? wanted.open : wanted.start).focus();
  }
  const view = opening && viewOf(opening);
  if (view) {
    opening = null;
    openLogs(view, true);
    view.root.scrollIntoView({ block: 'nearest' });
  }
}

const viewOf = (id) => $('workspaces').views?.get(id);

// --- events ------------------------------------------------------------------

const STATES = { live: 'Live', lost: 'Connection lost, trying again', connecting: 'Connecting' };
const SILENCE = 12_000;   // ms; `alive` comes every five seconds
let events = null;
let heard = 0;

function showState(state) {
  set($('state'), 'data-state', state);
  say($('state'), STATES[state]);
}

function listen() {
  if (events && events.readyState !== EventSource.CLOSED) return;
  events = new EventSource('/api/events');
  heard = Date.now();
  const on = (name, take) => events.addEventListener(name, (event) => { hear(); take(JSON.parse(event.data)); });
  on('workspaces', ({ ids }) => {
    order = ids;
    for (const id of known.keys()) if (!ids.includes(id)) known.delete(id);
    draw();
  });
  on('workspace', (workspace) => {
    known.set(workspace.id, workspace);
    if (order.includes(workspace.id)) draw();
  });
  on('progress', (step) => {
    const view = viewOf(step.id);
    if (view) showProgress(view, step);
  });
  on('alive', () => {});
  events.addEventListener('open', hear);
  events.addEventListener('error', lost);
}

function hear() {
  heard = Date.now();
  showState('live');
}

// A dead tunnel and a server that hangs say nothing, and the browser waits for ever.
function noteSilence() {
  if (document.hidden || Date.now() - heard < SILENCE) return;
  showState('lost');
  events?.close();
  listen();
}

// Half a second to two and a half: after a restart not all windows come back at once.
const soon = () => 500 + Math.random() * 2000;

// The browser tries again by itself, but for answers that are no events: then either this browser is not signed in any
// more, which the page itself says, or `up` is just coming back.
function lost() {
  showState('lost');
  if (events.readyState !== EventSource.CLOSED) return;
  fetch('/api/events', { method: 'HEAD' }).then((answer) => {
    if (answer.status === 401) location.reload();
    else setTimeout(listen, soon());
  }, () => setTimeout(listen, soon()));
}

// Browsers open only six connections to a server, for all its windows: those that nobody looks at do without.
document.addEventListener('visibilitychange', () => {
  if (document.hidden) {
    events?.close();
    showState('connecting');
  } else listen();
});

setInterval(() => {
  $('workspaces').views?.forEach(showLife);
  noteSilence();
}, 1000);

// --- a new workspace -----------------------------------------------------------

$('new').addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  const button = $('new-start');
  const depth = form.depth.value;
  const wasPressed = document.activeElement === button;
  button.disabled = true;  // which takes the focus away
  show($('new-error'), false);
  try {
    const { id } = await api.create({
      repository: form.repository.value, branch: form.branch.value,
      depth: depth ? Number(depth) : null, timeout: form.timeout.value,
    });
    announce(`${id} is starting`);
    opening = id;
    form.reset();
    draw();
  } catch (why) {
    $('new-error').replaceChildren(element('p', {}, why.message), ...(why.fix ? [element('p', { class: 'fix' }, why.fix)] : []));
    show($('new-error'), true);
    form.repository.focus();
  } finally {
    button.disabled = false;
    if (wasPressed && document.activeElement === document.body) button.focus();
  }
});

$('sign-out').addEventListener('click', async () => {
  await api.signOut();
  location.reload();
});

if (location.search) history.replaceState(null, '', `/${location.hash}`); // of again.js
listen();
