// What the page asks of `gitpod up`.

// A refusal, with what to do about it.
export class Refused extends Error {
  constructor(title, fix, status) {
    super(title);
    this.fix = fix;
    this.status = status;
  }
}

async function ask(method, path, body) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: { Accept: 'application/json', ...(method === 'GET' ? {} : { 'Content-Type': 'application/json' }) },
      body: method === 'GET' ? undefined : JSON.stringify(body ?? {}),
    });
  } catch {
    throw new Refused('gitpod up does not answer', 'is it still running in its terminal?', 0);
  }
  const text = await answer.text();
  let told = {};
  try { told = JSON.parse(text); } catch { /* not from us */ }
  if (answer.status === 401) location.reload();
  if (!answer.ok) throw new Refused(told.title ?? `answer ${answer.status}`, told.fix ?? '', answer.status);
  return told;
}

const of = (id) => `/api/workspaces/${encodeURIComponent(id)}`;

export const api = {
  create: (form) => ask('POST', '/api/workspaces', form),
  start: (id) => ask('POST', `${of(id)}/start`),
  stop: (id) => ask('POST', `${of(id)}/stop`),
  remove: (id) => ask('POST', `${of(id)}/delete`),
  setPort: (id, port, visibility) => ask('POST', `${of(id)}/ports`, { port, visibility }),
  setTimeout: (id, timeout) => ask('POST', `${of(id)}/timeout`, { timeout }),
  setWake: (id, wake) => ask('POST', `${of(id)}/wake`, { wake }),
  share: (id, port, lasts) => ask('POST', `${of(id)}/shares`, { port, for: lasts }),
  unshare: (id, share) => ask('POST', `${of(id)}/shares/${encodeURIComponent(share)}/revoke`),
  signOut: () => ask('POST', '/api/sign-out'),
  logs: (id) => `${of(id)}/logs`,
};
