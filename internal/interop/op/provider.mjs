// A real OpenID provider for the interoperability tests: npm's oidc-provider, certified and written by
// other people, so that oidckit is not only tested against its own idea of the specifications.
//
//   node provider.mjs --redirect-uri http://127.0.0.1:8080/callback --tls-cert F --tls-key F --tls-ca F [flags] < some-open-stdin
//
//   --tls-cert, --tls-key FILE     PEM, for the HTTPS listener, which takes the certificates of clients
//   --tls-ca FILE                  PEM, who issues those; start with NODE_EXTRA_CA_CERTS=FILE too, for the calls to clients
//   --port N                       loopback port, 0 (the default) picks a free one
//   --redirect-uri URI             repeatable, at least one; registered for every login client
//   --post-logout-redirect-uri URI repeatable; registered for every login client
//   --access-token-ttl SECONDS     default 300; https://short.test always has 2, https://expired.test is long past
//   --client-jwks JSON             public keys of app-key, which exists only with this flag
//   --id-token-claims              puts scope claims into every ID token, see "Claims"
//   --dpop-nonce                   demands a nonce of ours in every DPoP proof
//   --require-par                  takes pushed authorization requests only, from every client
//   --poll-interval SECONDS        default 1, see "Device flow"
//
// When it listens it prints one line of JSON on stdout, {"issuer":"http://127.0.0.1:PORT","mtls":"https://127.0.0.1:PORT"};
// all else goes to stderr. It ends on SIGTERM and SIGINT, and when its stdin ends, so that it never outlives the test that
// started it. It keeps everything in memory. It calls whom a client registers: jwks_uri, CIBA's notification endpoint and
// backchannel_logout_uri, on this machine too.
//
// The second listener is the same provider over TLS, for the metadata's mtls_endpoint_aliases.
//
// Clients are in clients.json, which the Go side reads too. The secret of app-basic has characters that a client
// must percent-encode in HTTP Basic (RFC 6749, section 2.3.1). All others register themselves (RFC 7591) with
// the initial access token below: every authentication method, algorithm and grant there is can be had that way.
//
// Login: a login_hint that names an account (alice, bob) is a login without a page; login_hint=deny answers
// access_denied. Without a hint there is a form with one field, `login`, and two buttons. Consent is never asked for.
//
// Claims: as OpenID Connect Core 5.4 says, claims asked for by scope are at userinfo, and in the ID token
// only when the access token is not for userinfo (that is, when a resource was asked for). --id-token-claims or the
// claims parameter puts them into the ID token always.
//
// Resources (RFC 8707): https://api.test, https://other.test, https://short.test, https://expired.test give RS256 tokens as
// in RFC 9068, with the account's realm_access. Those for https://expired.test are an hour old when they are issued, and
// ended ten minutes ago: more than any leeway. A resource asked for at the authorization endpoint is used for the token request too,
// when that names none (of several, the first). Such a token is not for userinfo.
//
// Device flow and CIBA: clients shall wait --poll-interval between two polls, or hear slow_down. That and the grants of
// token exchange and JWT bearer are ours, not the library's: pace.mjs and grants.mjs.
//
// Control: POST /test/rotate makes new keys that sign from then on. The old ones stay published;
// with ?mode=all they are gone. It answers {"kids": {alg: kid}} of the new keys.
// POST /test/account?name=NAME has an account of that name with the claims in the form's field "claims", a JSON object:
// _claim_names and _claim_sources are possible.
// GET /test/grants?client_id=ID answers how often the client asked for tokens by each grant type, {"refresh_token": 1}; what
// was refused is counted once more as "refresh_token refused".
// POST /test/ciba?auth_req_id=ID is the user's yes to a backchannel authentication, with &deny=yes the no.

import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTLSServer } from 'node:https';
import { parseArgs } from 'node:util';

import Provider, { errors } from 'oidc-provider';

import { ciba, finish } from './ciba.mjs';
import { registerOwnGrants } from './grants.mjs';
import { endpointAliases, mTLS } from './mtls.mjs';
import { pace } from './pace.mjs';

console.info = console.error; // the library's notices; stdout is for the one line of JSON

const { values: flags } = parseArgs({
  options: {
    'port': { type: 'string', default: '0' },
    'redirect-uri': { type: 'string', multiple: true, default: [] },
    'post-logout-redirect-uri': { type: 'string', multiple: true, default: [] },
    'access-token-ttl': { type: 'string', default: '300' },
    'client-jwks': { type: 'string' },
    'id-token-claims': { type: 'boolean', default: false },
    'dpop-nonce': { type: 'boolean', default: false },
    'require-par': { type: 'boolean', default: false },
    'poll-interval': { type: 'string', default: '1' },
    'tls-cert': { type: 'string' },
    'tls-key': { type: 'string' },
    'tls-ca': { type: 'string' },
  },
});
const port = Number(flags.port);
const accessTokenTTL = Number(flags['access-token-ttl']);
const tls = Boolean(flags['tls-cert'] && flags['tls-key'] && flags['tls-ca']);
if (!tls || flags['redirect-uri'].length === 0 || !Number.isInteger(port) || !(Number.isInteger(accessTokenTTL) && accessTokenTTL > 0)) {
  console.error('provider.mjs: needs --redirect-uri, --tls-cert, --tls-key, --tls-ca, an integer --port and a positive integer --access-token-ttl');
  process.exit(2);
}

const accounts = new Map([
  ['alice', {
    name: 'Alice Adams',
    preferred_username: 'alice',
    email: 'alice@example.test',
    email_verified: true,
    realm_access: { roles: ['admin', 'user'] },
  }],
  ['bob', {
    name: 'Bob Brown',
    preferred_username: 'bob',
    email: 'bob@example.test',
    email_verified: false,
    realm_access: { roles: ['user'] },
  }],
]);

const expired = 'https://expired.test';

const resources = new Map([
  ['https://api.test', accessTokenTTL],
  ['https://other.test', accessTokenTTL],
  ['https://short.test', 2],
  [expired, accessTokenTTL],
]);

// --- clients

function clients() {
  const registered = JSON.parse(readFileSync(new URL('clients.json', import.meta.url), 'utf8'));
  return registered.flatMap((client) => {
    if (client.client_id === 'app-machine') {
      return [{ ...client, grant_types: ['client_credentials'], response_types: [], redirect_uris: [] }];
    }
    const web = {
      ...client,
      // Also for the public client: a native one is asked for consent every time (RFC 8252, section 8.6), and so
      // can never log in silently.
      application_type: 'web',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      redirect_uris: flags['redirect-uri'],
      post_logout_redirect_uris: flags['post-logout-redirect-uri'],
    };
    if (client.client_id !== 'app-key') return [web];
    return flags['client-jwks'] ? [{ ...web, jwks: JSON.parse(flags['client-jwks']) }] : [];
  });
}

// --- keys

const keyKinds = [
  ['RS256', 'rsa', { modulusLength: 2048 }],
  ['PS256', 'rsa', { modulusLength: 2048 }],
  ['ES256', 'ec', { namedCurve: 'P-256' }],
  ['EdDSA', 'ed25519', undefined],
];

function newKeys() {
  return keyKinds.map(([alg, kind, options]) => {
    const jwk = generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' });
    const id = createHash('sha256').update(jwk.n ?? jwk.x).digest('base64url').slice(0, 12);
    return { ...jwk, alg, use: 'sig', kid: `${alg}-${id}` };
  });
}

// --- storage

// Everything the provider remembers. Its own in-memory adapter keeps a thousand entries and drops the rest,
// which under load looks like a session that ended; this one keeps all until they expire.
const store = new Map(); // "Model:id" to { payload, expires }

function live(key) {
  const entry = store.get(key);
  if (entry && entry.expires <= Date.now()) {
    store.delete(key);
    return undefined;
  }
  return entry?.payload;
}

setInterval(() => store.forEach((_, key) => live(key)), 30_000).unref();

class MapAdapter {
  constructor(model) {
    this.model = model;
    this.prefix = `${model}:`;
  }

  async upsert(id, payload, expiresIn) {
    store.set(this.prefix + id, { payload, expires: expiresIn ? Date.now() + expiresIn * 1000 : Infinity });
    if (this.model === 'Session') this.#index('uid', payload.uid, id, expiresIn);
    if (payload.userCode) this.#index('userCode', payload.userCode, id, expiresIn);
    if (payload.grantId) {
      const group = store.get(this.#group(payload.grantId)) ?? { payload: new Set(), expires: 0 };
      group.payload.add(this.prefix + id);
      group.expires = Math.max(group.expires, store.get(this.prefix + id).expires);
      store.set(this.#group(payload.grantId), group);
    }
  }

  async find(id) {
    return live(this.prefix + id);
  }

  async findByUid(uid) {
    return this.find(live(this.#indexKey('uid', uid)));
  }

  async findByUserCode(userCode) {
    return this.find(live(this.#indexKey('userCode', userCode)));
  }

  async consume(id) {
    const payload = live(this.prefix + id);
    if (payload) payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    store.delete(this.prefix + id);
  }

  async revokeByGrantId(grantId) {
    const group = store.get(this.#group(grantId));
    group?.payload.forEach((key) => store.delete(key));
    store.delete(this.#group(grantId));
  }

  #index(name, value, id, expiresIn) {
    store.set(this.#indexKey(name, value), { payload: id, expires: expiresIn ? Date.now() + expiresIn * 1000 : Infinity });
  }

  #indexKey(name, value) {
    return `${this.prefix}${name}=${value}`;
  }

  #group(grantId) {
    return `${this.prefix}grant=${grantId}`;
  }
}

// --- the provider

const cookieKeys = [randomBytes(32).toString('base64url')];
const nonceSecret = randomBytes(32);
const initialAccessToken = 'initial-for-tests-only'; // the Go side has it too

const signedBySomebody = [
  'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519',
];
const signedByUs = ['RS256', 'PS256', 'ES256', 'EdDSA', 'HS256'];
const encrypted = [
  'RSA-OAEP', 'RSA-OAEP-256', 'RSA-OAEP-384', 'RSA-OAEP-512',
  'ECDH-ES', 'ECDH-ES+A128KW', 'ECDH-ES+A192KW', 'ECDH-ES+A256KW',
];
const encryptedContent = ['A128GCM', 'A192GCM', 'A256GCM', 'A128CBC-HS256', 'A192CBC-HS384', 'A256CBC-HS512'];

const enabledJWA = {
  clientAuthSigningAlgValues: ['HS256', 'HS384', 'HS512', ...signedBySomebody],
  dPoPSigningAlgValues: signedBySomebody,
  idTokenSigningAlgValues: signedByUs,
  userinfoSigningAlgValues: signedByUs,
  introspectionSigningAlgValues: signedByUs,
  idTokenEncryptionAlgValues: encrypted,
  idTokenEncryptionEncValues: encryptedContent,
  userinfoEncryptionAlgValues: encrypted,
  userinfoEncryptionEncValues: encryptedContent,
  introspectionEncryptionAlgValues: encrypted,
  introspectionEncryptionEncValues: encryptedContent,
};

function configuration(keys) {
  return {
    adapter: MapAdapter,
    clients: clients(),
    jwks: { keys },
    cookies: { keys: cookieKeys },
    clockTolerance: 0, // one machine, one clock: what has expired is refused at once
    pkce: { required: () => true },
    enabledJWA,
    clientAuthMethods: [
      'client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt',
      'tls_client_auth', 'self_signed_tls_client_auth', 'none',
    ],
    discovery: { mtls_endpoint_aliases: endpointAliases(mtls) },
    // The library's own would not call this machine.
    fetch: (target, { dispatcher, ...options }) => fetch(target, options),
    acrValues: ['urn:test:loa:1', 'urn:test:loa:2'],

    scopes: ['openid', 'offline_access'],
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username', 'realm_access'],
      email: ['email', 'email_verified'],
      acr: null,
      amr: null,
      auth_time: null,
      iss: null,
      sid: null,
    },
    conformIdTokenClaims: !flags['id-token-claims'],
    findAccount,
    extraTokenClaims: (ctx, token) => {
      const account = accounts.get(token.accountId);
      return { realm_access: account?.realm_access, act: token.act };
    },

    formats: { customizers: { jwt: expireToken } },

    extraParams: { offline_asked: keepOfflineAccess },
    rotateRefreshToken: true,
    loadExistingGrant,
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },

    ttl: {
      AccessToken: tokenTTL,
      ClientCredentials: tokenTTL,
      AuthorizationCode: 60,
      IdToken: 3600,
      RefreshToken: 86_400,
      Interaction: 3600,
      Session: 86_400,
      Grant: 86_400,
      DeviceCode: 600,
      BackchannelAuthenticationRequest: (ctx) => Math.min(600, Number(ctx.oidc.params.requested_expiry ?? 600)),
    },

    features: {
      devInteractions: { enabled: false },
      claimsParameter: { enabled: true },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      jwtIntrospection: { enabled: true },
      jwtUserinfo: { enabled: true },
      encryption: { enabled: true },
      revocation: { enabled: true },
      pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: flags['require-par'] },
      registration: { enabled: true, initialAccessToken },
      registrationManagement: { enabled: true, rotateRegistrationAccessToken: true },
      deviceFlow: { enabled: true },
      ciba,
      mTLS,
      dPoP: flags['dpop-nonce'] ? { enabled: true, nonceSecret, requireNonce: () => true } : { enabled: true },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: async (ctx, client, oneOf) => oneOf?.[0],
        useGrantedResource: async () => true,
        getResourceServerInfo,
      },
    },
  };
}

function tokenTTL(ctx, token) {
  return token.resourceServer?.accessTokenTTL ?? accessTokenTTL;
}

// An access token that was good once, for those who cannot wait until one expires.
async function expireToken(ctx, token, jwt) {
  if (jwt.payload.aud !== expired) return;
  const now = Math.floor(Date.now() / 1000);
  jwt.payload.iat = now - 3600;
  jwt.payload.exp = now - 600;
}

async function findAccount(ctx, id) {
  const claims = accounts.get(id);
  return claims && { accountId: id, claims: async () => ({ sub: id, ...claims }) };
}

async function getResourceServerInfo(ctx, resource) {
  if (!resources.has(resource)) throw new errors.InvalidTarget();
  return {
    audience: resource,
    scope: 'reports:read reports:write',
    accessTokenFormat: 'jwt',
    accessTokenTTL: resources.get(resource),
    jwt: { sign: { alg: 'RS256' } },
  };
}

// The provider drops offline_access from a request without prompt=consent (OpenID Connect Core, section 11).
// Consent is given beforehand here, so the scope is put back. Such a check of a parameter of our own is the one hook
// that runs after the scope was looked at and before it is stored; the parameter carries the wish through a pushed request.
function keepOfflineAccess(ctx, asked, client) {
  const scope = (ctx.method === 'POST' ? ctx.oidc.body : ctx.query)?.scope ?? '';
  if (!asked && !scope.split(' ').includes('offline_access')) return;
  if (!client.grantTypeAllowed('refresh_token')) return;
  ctx.oidc.params.offline_asked = 'yes';
  ctx.oidc.params.scope = [...ctx.oidc.requestParamScopes.add('offline_access')].join(' ');
}

// Consent, given by the house: whatever is asked for is granted.
async function loadExistingGrant(ctx) {
  const { oidc } = ctx;
  const { Grant } = oidc.provider;
  const id = oidc.session.grantIdFor(oidc.client.clientId);
  const known = id && await Grant.find(id);
  const grant = known || new Grant({ accountId: oidc.account.accountId, clientId: oidc.client.clientId });
  grant.addOIDCScope(oidc.requestParamOIDCScopes);
  grant.addOIDCClaims(oidc.requestParamClaims);
  for (const [resource, server] of Object.entries(oidc.resourceServers)) {
    grant.addResourceScope(resource, [...oidc.requestParamScopes].filter((scope) => server.scopes.has(scope)));
  }
  await grant.save();
  return grant;
}

// --- login

const html = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

function loginPage(uid, note) {
  return `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Sign in</title></head>
<body>
<h1>Sign in</h1>
${note ? `<p role="alert">${html(note)}</p>` : ''}
<form method="post" action="/interaction/${html(uid)}">
<label>User <input name="login" autofocus></label>
<button type="submit">Sign in</button>
<button type="submit" name="cancel" value="yes">Cancel</button>
</form>
</body>
</html>
`;
}

async function readForm(req) {
  const chunks = [];
  let size = 0;
  for await (const chunk of req) {
    size += chunk.length;
    if (size > 65_536) throw new Error('form too large');
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString());
}

async function interaction(provider, req, res) {
  const { uid, prompt, params } = await provider.interactionDetails(req, res);
  const finish = (result) => provider.interactionFinished(req, res, result, { mergeWithLastSubmission: !result.error });
  const form = req.method === 'POST' ? await readForm(req) : undefined;

  if (prompt.name === 'consent') return finish({ consent: {} });

  const login = form?.get('login') ?? params.login_hint;
  if (form?.has('cancel') || login === 'deny') {
    return finish({ error: 'access_denied', error_description: 'the user said no' });
  }
  if (accounts.has(login)) {
    return finish({ login: { accountId: login, amr: ['pwd'], acr: wantedACR(prompt, params) } });
  }
  res.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  return res.end(loginPage(uid, login ? `There is no user ${login}.` : ''));
}

// The class that was asked for, as if the user had shown what it takes.
function wantedACR(prompt, params) {
  const asked = prompt.details.acr;
  return asked?.value ?? asked?.values?.[0] ?? params.acr_values?.split(' ')[0] ?? 'urn:test:loa:1';
}

// --- the server

let issuer;
let mtls; // where the TLS listener is
let keys = newKeys();
let provider;
let callback;
const grants = new Map(); // of a client_id, how often it asked for each grant type

function countGrant(ctx, suffix) {
  const name = `${ctx.oidc.params?.grant_type}${suffix}`;
  const id = ctx.oidc.client?.clientId;
  const counts = grants.get(id) ?? {};
  counts[name] = (counts[name] ?? 0) + 1;
  grants.set(id, counts);
}

// There is no way to reload the keys of a provider: another one over the same store takes its place.
function install() {
  provider = new Provider(issuer, configuration(keys));
  registerOwnGrants(provider, keys);
  provider.use(pace(Number(flags['poll-interval'])));
  provider.on('server_error', (ctx, err) => console.error('server_error', ctx.path, err));
  provider.on('grant.success', (ctx) => countGrant(ctx, ''));
  provider.on('grant.error', (ctx) => { countGrant(ctx, ''); countGrant(ctx, ' refused'); });
  provider.on('backchannel.error', (ctx, err) => console.error('backchannel.error', err.message));
  for (const event of ['authorization.error', 'grant.error', 'userinfo.error', 'end_session.error']) {
    provider.on(event, (ctx, err) => console.error(event, err.error, err.error_description ?? '', err.error_detail ?? ''));
  }
  callback = provider.callback();
}

function rotate(mode, res) {
  const fresh = newKeys();
  keys = mode === 'all' ? fresh : [...fresh, ...keys]; // the first key that fits signs
  install();
  sendJSON(res, { kids: Object.fromEntries(fresh.map(({ alg, kid }) => [alg, kid])) });
}

function sendJSON(res, value) {
  res.writeHead(200, { 'content-type': 'application/json' });
  res.end(JSON.stringify(value));
}

async function setAccount(name, req, res) {
  accounts.set(name, JSON.parse((await readForm(req)).get('claims')));
  res.writeHead(204);
  res.end();
}

async function answerCIBA(query, res) {
  await finish(provider, query.get('auth_req_id'), !query.has('deny'));
  res.writeHead(204);
  res.end();
}

async function serve(req, res) {
  const url = new URL(req.url, issuer);
  if (url.pathname === '/test/grants') return sendJSON(res, grants.get(url.searchParams.get('client_id')) ?? {});
  if (req.method === 'POST' && url.pathname === '/test/ciba') return answerCIBA(url.searchParams, res);
  if (req.method === 'POST' && url.pathname === '/test/account') return setAccount(url.searchParams.get('name'), req, res);
  if (req.method === 'POST' && url.pathname === '/test/rotate') return rotate(url.searchParams.get('mode'), res);
  if (url.pathname.startsWith('/interaction/')) return interaction(provider, req, res);
  return callback(req, res);
}

function handle(req, res) {
  serve(req, res).catch((err) => {
    console.error(req.method, req.url.split('?')[0], err);
    if (!res.headersSent) res.writeHead(err.statusCode ?? 500, { 'content-type': 'text/plain; charset=utf-8' });
    res.end(`${err.message}\n`);
  });
}

const server = createServer(handle);
const tlsServer = createTLSServer({
  cert: readFileSync(flags['tls-cert']),
  key: readFileSync(flags['tls-key']),
  ca: readFileSync(flags['tls-ca']),
  requestCert: true,
  rejectUnauthorized: false, // that is for the client's authentication method to say
}, handle);

function stop() {
  server.close(() => process.exit(0));
  server.closeAllConnections();
}
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
process.stdin.on('end', stop).on('error', stop).resume();

// listen returns the base URL of a server that listens.
function listen(server, scheme, port) {
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(`${scheme}://127.0.0.1:${server.address().port}`));
  });
}

try {
  mtls = await listen(tlsServer, 'https', 0);
  // Nobody asks before install: no turn of the event loop is between.
  issuer = await listen(server, 'http', port);
  install();
} catch (err) {
  console.error(`provider.mjs: ${err.message}`);
  process.exit(1);
}
console.log(JSON.stringify({ issuer, mtls }));
