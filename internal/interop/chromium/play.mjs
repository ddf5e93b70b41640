// A person with a real browser, for the interoperability tests.
//
//   CHROMIUM=/usr/bin/chromium PROFILE=some-empty-folder node play.mjs SCRIPT '{"app": URL, "issuer": URL, ...}'
//
// plays one of the scripts in scenarios.mjs. It ends with 0 if all was as the script says, else with 1, what was wrong
// on stderr. With INTEROP_SCREENSHOTS it saves pictures of the pages to that folder.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

import { scenarios } from './scenarios.mjs';

const [name, scene] = [process.argv[2], JSON.parse(process.argv[3])];
const { play, options = {}, blockCookies = false } = scenarios[name];
const pictures = process.env.INTEROP_SCREENSHOTS;
if (pictures) mkdirSync(pictures, { recursive: true });

if (blockCookies) {
  // As the user sets it for one site. The provider's own are needed to come back from there at all.
  mkdirSync(join(process.env.PROFILE, 'Default'));
  writeFileSync(join(process.env.PROFILE, 'Default', 'Preferences'), JSON.stringify({
    profile: { content_settings: { exceptions: { cookies: { [`${scene.app},*`]: { setting: 2 } } } } },
  }));
}

const context = await chromium.launchPersistentContext(process.env.PROFILE, {
  executablePath: process.env.CHROMIUM,
  headless: true,
  ignoreHTTPSErrors: true, // the authority is one of the test's own
  viewport: { width: 1000, height: 700 },
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-dev-shm-usage', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
  ],
  ...options,
});
context.setDefaultTimeout(30_000);

let pages = 0;

// picture saves what a page looks like on a desk and, in the dark, on a phone, if pictures are wanted.
async function picture(page, what) {
  if (!pictures) return;
  pages += 1;
  const path = (kind) => join(pictures, `${name}-${pages}-${what}${kind}.png`);
  const size = page.viewportSize();
  await page.screenshot({ path: path(''), fullPage: true });
  await page.setViewportSize({ width: 390, height: 800 });
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.screenshot({ path: path('-phone'), fullPage: true });
  await page.setViewportSize(size);
  await page.emulateMedia({ colorScheme: null });
}

let code = 0;
try {
  await play({ ...scene, context, picture });
} catch (err) {
  code = 1;
  console.error(err);
  for (const page of context.pages()) {
    console.error('---', page.url(), '\n', (await page.innerText('body').catch(String)).slice(0, 2000));
  }
} finally {
  await context.close();
}
process.exit(code);
