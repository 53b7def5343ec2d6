// Dialogs: to be sure before files go, and to share. The browser keeps focus inside and gives it back.
import { $, element, say, show, announce, copy } from './dom.js';
import { api } from './api.js';

// Asks whether to delete a workspace. Only a yes deletes.
export function confirmDelete(id) {
  const dialog = $('delete-dialog');
  say($('delete-name'), id);
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener('close', () => done(dialog.returnValue === 'delete'), { once: true });
  });
}

for (const button of document.querySelectorAll('dialog button[data-close]')) {
  button.addEventListener('click', () => button.closest('dialog').close(button.dataset.close));
}

const WHOLE = 'whole';

// Shares a workspace or one of its ports.
export function shareDialog(workspace, port) {
  const dialog = $('share-dialog');
  const choice = $('share-what');
  const whole = element('option', { value: WHOLE }, 'The whole workspace: editor and all ports');
  const ports = workspace.ports.map((it) => element('option', { value: it.port }, `Only port ${it.port}${it.name ? `, ${it.name}` : ''}`));
  // Each port has a button of its own. Here everything may be meant, which is not guessed: it lets others work in it.
  const open = element('option', { value: '' }, 'Choose what to share');
  const unclear = !port && ports.length > 0;
  choice.replaceChildren(...(unclear ? [open] : []), whole, ...ports);
  choice.value = port ?? (unclear ? '' : WHOLE);
  say($('share-name'), workspace.id);
  show($('share-result'), false);
  show($('share-form'), true);
  show($('share-error'), false);
  dialog.dataset.id = workspace.id;
  dialog.showModal();
  choice.focus();
}

$('share-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const port = $('share-what').value;
  const button = $('share-make');
  button.disabled = true;
  try {
    const share = await api.share($('share-dialog').dataset.id, port === WHOLE ? null : Number(port), $('share-for').value);
    $('share-url').value = share.url;
    say($('share-until'), `It works until ${new Date(share.expires_at).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' })}, or until you revoke it.`);
    show($('share-form'), false);
    show($('share-result'), true);
    $('share-url').focus();
    $('share-url').select();
    announce('The link is ready to be copied');
  } catch (why) {
    say($('share-error'), why.fix ? `${why.message}: ${why.fix}` : why.message);
    show($('share-error'), true);
  } finally {
    button.disabled = false;
  }
});

$('share-copy').addEventListener('click', (event) => {
  $('share-url').select();
  copy($('share-url').value, event.currentTarget);
});
