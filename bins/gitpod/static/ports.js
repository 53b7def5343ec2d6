// The ports of a workspace: who may use them, and the way to them.
import { element, say, set, show, each, announce } from './dom.js';
import { api } from './api.js';
import { shareDialog } from './dialog.js';

function makePort(workspace, onError) {
  const view = {};
  view.number = element('span', { class: 'number' });
  view.name = element('span', { class: 'label' });
  view.served = element('span', { class: 'badge' });
  view.description = element('p', { class: 'quiet' });
  view.toggle = element('button', { type: 'button', role: 'switch', class: 'switch', onclick: () => flip(view, onError) },
    element('span', { class: 'knob', 'aria-hidden': 'true' }), 'Public');
  view.open = element('a', { class: 'button small', target: '_blank', rel: 'noopener' }, 'Open');
  view.share = element('button', { type: 'button', class: 'button plain small', onclick: () => shareDialog(view.workspace, view.port.port) }, 'Share');
  view.root = element('li', { class: 'port' },
    element('div', { class: 'what' }, view.number, view.name, view.served),
    element('div', { class: 'actions' }, view.toggle, view.share, view.open), view.description);
  return view;
}

async function flip(view, onError) {
  const wanted = view.port.visibility === 'public' ? 'private' : 'public';
  view.toggle.setAttribute('aria-busy', 'true');
  try {
    await api.setPort(view.workspace.id, view.port.port, wanted);
    announce(`Port ${view.port.port} is ${wanted}`);
  } catch (why) {
    onError(why);
  } finally {
    view.toggle.removeAttribute('aria-busy');
  }
}

export function showPorts(list, workspace, onError) {
  const live = workspace.phase === 'running';
  each(list, workspace.ports, (port) => port.port, () => makePort(workspace, onError), (view, port) => {
    Object.assign(view, { workspace, port });
    const isPublic = port.visibility === 'public';
    say(view.number, String(port.port));
    say(view.name, port.name);
    show(view.name, port.name !== '');
    say(view.served, port.served ? 'Listening' : 'Nobody listens');
    set(view.served, 'data-tone', port.served ? 'good' : null);
    show(view.served, live);
    say(view.description, port.description);
    show(view.description, port.description !== '');
    set(view.toggle, 'aria-checked', String(isPublic));
    set(view.toggle, 'aria-label', `Public: port ${port.port}`);
    set(view.toggle, 'title', isPublic ? 'Everybody who reaches this machine may use it' : 'Only you may use it');
    view.toggle.disabled = !live;
    set(view.share, 'aria-label', `Share port ${port.port}`);
    set(view.open, 'href', `/open/${encodeURIComponent(workspace.id)}/${port.port}`);
    set(view.open, 'aria-label', `Open port ${port.port}`);
    show(view.open, live && port.served);
    show(view.share, live);
  });
}
