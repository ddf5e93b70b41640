// What the person does. Each script gets the scene, the browser's context, and picture(page, what).

import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';

// signIn fills in the provider's form.
async function signIn(page, user) {
  await page.fill('input[name=login]', user);
  await page.click('button:has-text("Sign in")');
}

// logIn logs in from the home page.
async function logIn({ app, context }, user, path = '/login') {
  const page = await context.newPage();
  await page.goto(app + path);
  await signIn(page, user);
  await page.waitForURL(`${app}/**`);
  return page;
}

async function isAt(page, url, text) {
  await page.waitForURL(url);
  const body = await page.innerText('body');
  assert.ok(body.includes(text), `${page.url()} does not say "${text}" but:\n${body}`);
}

// me is what a script on the page hears.
function me(page) {
  return page.evaluate(async () => {
    const res = await fetch('/me');
    return { status: res.status, body: await res.json() };
  });
}

// endAtProvider logs out at the provider, without the application.
async function endAtProvider({ context, issuer }) {
  const page = await context.newPage();
  await page.goto(`${issuer}/session/end`);
  await page.click('button[value=yes]');
  await page.waitForURL(`${issuer}/session/end/success**`);
  await page.close();
}

async function refreshes({ issuer, clientID }) {
  const res = await fetch(`${issuer}/test/grants?client_id=${encodeURIComponent(clientID)}`);
  const grants = await res.json();
  return { asked: grants.refresh_token ?? 0, refused: grants['refresh_token refused'] ?? 0 };
}

async function plain(scene) {
  const { app, issuer, context, picture } = scene;
  const page = await context.newPage();
  await page.goto(app);
  await isAt(page, `${app}/`, 'You are not logged in');
  await picture(page, 'home');
  await page.click('text=Log in');
  await isAt(page, `${issuer}/interaction/*`, 'Sign in');
  await signIn(page, 'alice');
  await isAt(page, `${app}/`, 'Hello, Alice Adams');
  await picture(page, 'logged-in');

  await page.click('text=Administration');
  await isAt(page, `${app}/admin`, 'You may');
  await page.click('text=Account settings'); // the provider is asked when the login was
  await isAt(page, `${app}/account`, 'You may');
  await picture(page, 'account');
  await page.click('text=Home');
  await page.fill('input[name=note]', 'Buy <b>milk</b>');
  await page.click('text=Send');
  await isAt(page, `${app}/note`, 'Buy <b>milk</b>');
  await picture(page, 'note');

  // No cookie is for scripts, or goes anywhere else.
  assert.equal(await page.evaluate(() => document.cookie), '');
  for (const cookie of (await context.cookies(app)).filter(({ name }) => name.includes('oidckit'))) {
    assert.equal(cookie.secure, true, cookie.name);
    assert.equal(cookie.httpOnly, true, cookie.name);
    assert.equal(cookie.sameSite, 'Lax', cookie.name);
  }

  await page.click('text=Log out');
  await picture(page, 'provider-asks');
  await page.click('button[value=yes]');
  await isAt(page, `${app}/`, 'You are not logged in');
  await page.goBack();
  await page.goto(`${app}/admin`);
  await isAt(page, `${issuer}/interaction/*`, 'Sign in'); // the provider's session is gone as well
  await signIn(page, 'bob');
  await isAt(page, `${app}/admin`, '');
  await picture(page, 'not-allowed');
  assert.equal((await page.goto(`${app}/admin`)).status(), 403);
}

async function logoutByLink({ app, ...scene }) {
  const page = await logIn({ app, ...scene }, 'alice');
  await page.goto(`${app}/logout`);
  await scene.picture(page, 'link');
  await page.click('button[value=yes]'); // the provider's question
  await isAt(page, `${app}/`, 'You are not logged in');
}

// Another site must neither log the user out nor do anything in their name.
async function otherSite({ app, ...scene }) {
  const page = await logIn({ app, ...scene }, 'alice');
  const evil = await scene.context.newPage();
  await evil.route('https://evil.test/**', (route) => route.fulfill({
    contentType: 'text/html',
    body: `<form method=post action="${app}/note"><input name=note value=evil><button>Win</button></form>
      <form method=post action="${app}/logout"><button>Out</button></form>
      <img src="${app}/logout">`,
  }));
  await evil.goto('https://evil.test/');
  await evil.click('text=Win');
  await scene.picture(evil, 'note');
  assert.ok(!(await evil.innerText('body')).includes('Your note'));
  await evil.goto('https://evil.test/');
  await evil.click('text=Out');
  await scene.picture(evil, 'logout');
  await page.goto(app);
  await isAt(page, `${app}/`, 'Hello, Alice Adams');
}

async function twoTabs({ app, context, picture }) {
  const [first, second] = [await context.newPage(), await context.newPage()];
  await first.goto(`${app}/login`);
  await second.goto(`${app}/admin`);
  await signIn(first, 'alice');
  await isAt(first, `${app}/`, 'Hello, Alice Adams');
  await signIn(second, 'alice');
  await isAt(second, `${app}/admin`, 'You may');
  await picture(second, 'second');
  assert.equal((await me(first)).status, 200);
  assert.equal((await me(second)).status, 200);
}

// Chrome sends a cookie without SameSite for two minutes only where another site posts a form. A login whose cookie
// does not come begins anew, which the user might not even see: there must be one answer, and no more.
async function formPost({ app, context, picture }) {
  const page = await context.newPage();
  const answers = [];
  page.on('request', (req) => { if (req.url().startsWith(`${app}/callback`)) answers.push(req.method()); });
  await page.goto(`${app}/login`);
  await wait(180_000);
  await signIn(page, 'alice');
  await isAt(page, `${app}/`, 'Hello, Alice Adams');
  await picture(page, 'logged-in');
  assert.deepEqual(answers, ['POST']);
  await page.goto(`${app}/admin`);
  await isAt(page, `${app}/admin`, 'You may');
}

async function formPostAtOnce({ app, ...scene }) {
  const page = await logIn({ app, ...scene }, 'alice', '/admin');
  await isAt(page, `${app}/admin`, 'You may');
  assert.equal((await me(page)).status, 200);
}

async function backButton({ app, issuer, context, picture }) {
  const page = await context.newPage();
  const callback = page.waitForRequest((req) => req.url().startsWith(`${app}/callback?`));
  await page.goto(`${app}/login?return_to=/account`);
  await signIn(page, 'alice');
  await isAt(page, `${app}/account`, 'You may');
  await page.goBack(); // to the provider's form
  await picture(page, 'back');
  const used = (await callback).url();

  // The callback once more, as a browser does that restores its tabs.
  await page.goto(used);
  await picture(page, 'callback-again');
  await page.goto(app);
  await isAt(page, `${app}/`, 'Hello, Alice Adams');

  // And where nobody is logged in any more: a login begins anew.
  await context.clearCookies();
  await page.goto(used);
  await isAt(page, `${issuer}/interaction/*`, 'Sign in');
  await signIn(page, 'bob');
  await isAt(page, `${app}/`, 'Hello, Bob');
}

async function cancelled({ app, context, picture }) {
  const page = await context.newPage();
  await page.goto(`${app}/login`);
  await page.click('text=Cancel');
  await page.waitForURL(`${app}/callback?**`);
  await picture(page, 'cancelled');
  assert.ok(!(await page.innerText('body')).includes('the user said no'), 'what the provider says is not shown');
  assert.equal((await me(page)).status, 401);
}

async function cookiesOff({ app, issuer, context, picture }) {
  const page = await context.newPage();
  await page.goto(`${app}/login`);
  for (let tries = 0; tries < 4 && page.url().startsWith(issuer); tries += 1) await signIn(page, 'alice');
  await page.waitForURL(`${app}/**`);
  await picture(page, 'cookies-off');
  assert.equal((await context.cookies(app)).filter(({ name }) => name.includes('oidckit')).length, 0);
  assert.match(await page.innerText('body'), /cookie/i);
}

async function backChannel(scene) {
  const { app, picture } = scene;
  const page = await logIn(scene, 'alice');
  await isAt(page, `${app}/`, 'Hello, Alice Adams');
  await page.fill('input[name=note]', 'still here');
  await endAtProvider(scene);
  assert.equal((await me(page)).status, 401);

  // The form that is open belongs to nobody now.
  await page.click('text=Send');
  await isAt(page, `${app}/note`, 'Your session has ended');
  await picture(page, 'form-of-ended-session');
  await loginFromPage(page, scene);
}

// loginFromPage logs in from the page that says that the session has ended, and is back at the form.
async function loginFromPage(page, { app, issuer }) {
  assert.ok(page.url().startsWith(app), page.url());
  await page.click('a:text-matches("log in", "i"), button:text-matches("log in", "i")');
  await page.waitForURL(new RegExp(`^(${issuer}/interaction/|${app}/$)`));
  if (page.url().startsWith(issuer)) await signIn(page, 'alice');
  await isAt(page, `${app}/`, 'Hello, Alice Adams');
}

async function expired(scene) {
  const page = await logIn(scene, 'alice');
  await page.fill('input[name=note]', 'too late');
  await wait(scene.sessionLife + 1000);
  await page.click('text=Send');
  await isAt(page, `${scene.app}/note`, 'Your session has ended');
  await scene.picture(page, 'expired');
  await loginFromPage(page, scene);
}

async function parallelFetches(scene) {
  const page = await logIn(scene, 'alice');
  const before = await refreshes(scene);
  await wait(scene.tokenLife + 1000);
  const statuses = await page.evaluate(() => Promise.all(
    Array.from({ length: 20 }, () => fetch('/me').then((res) => res.status)),
  ));
  assert.deepEqual(statuses, Array(20).fill(200));
  const after = await refreshes(scene);
  assert.equal(after.asked - before.asked, 1);
  assert.equal(after.refused, 0);
  assert.equal((await me(page)).status, 200);
}

const withScripts = { options: { bypassCSP: true } }; // the application's pages have none of their own

export const scenarios = {
  plain: { play: plain, ...withScripts },
  logoutByLink: { play: logoutByLink },
  otherSite: { play: otherSite },
  twoTabs: { play: twoTabs, ...withScripts },
  formPost: { play: formPost },
  formPostAtOnce: { play: formPostAtOnce, ...withScripts },
  backButton: { play: backButton },
  cancelled: { play: cancelled, ...withScripts },
  cookiesOff: { play: cookiesOff, blockCookies: true },
  backChannel: { play: backChannel, ...withScripts },
  expired: { play: expired },
  parallelFetches: { play: parallelFetches, ...withScripts },
};
