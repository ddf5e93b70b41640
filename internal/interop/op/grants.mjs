// Token exchange (RFC 8693) and JWT bearer assertions (RFC 7523, section 2.1). The library has neither: the rules here
// are OURS, so that what passes here shows that a client speaks to a real token endpoint, with the library's own client
// authentication, sender constraints, resources and tokens, and not that other people read these two RFCs as we do.

import { createLocalJWKSet, jwtVerify } from 'jose';
import { errors } from 'oidc-provider';
// What the library's own grants are made of. It is not documented; package.json pins the version.
import * as helpers from 'oidc-provider/lib/helpers/grants.js';

const grantType = (name) => `urn:ietf:params:oauth:grant-type:${name}`;
const tokenType = (name) => `urn:ietf:params:oauth:token-type:${name}`;

// registerOwnGrants adds both to a provider that publishes keys.
export function registerOwnGrants(provider, keys) {
  const published = createLocalJWKSet({ keys: keys.map(({ d, p, q, dp, dq, qi, ...key }) => key) });
  provider.registerGrantType(grantType('jwt-bearer'), (ctx) => jwtBearer(provider, ctx),
    ['assertion', 'scope', 'resource'], ['resource']);
  provider.registerGrantType(grantType('token-exchange'), (ctx) => tokenExchange(provider, published, ctx),
    ['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'requested_token_type', 'scope',
      'resource', 'audience'], ['resource', 'audience']);
}

// The assertion is signed with a registered key of the client, who thereby acts for the account in sub.
async function jwtBearer(provider, ctx) {
  const { client, params } = ctx.oidc;
  let claims;
  try {
    ({ payload: claims } = await jwtVerify(params.assertion, createLocalJWKSet(client.jwks), {
      issuer: client.clientId,
      audience: [provider.issuer, ctx.oidc.urlFor('token')],
      requiredClaims: ['sub', 'exp', 'jti'],
    }));
  } catch (cause) {
    throw new errors.InvalidGrant({ detail: 'assertion is invalid', cause });
  }
  const fresh = await provider.ReplayDetection.unique(claims.iss, claims.jti, claims.exp);
  if (!fresh) throw new errors.InvalidGrant('assertion was used before');
  await issue(provider, ctx, claims.sub, { Refusal: errors.InvalidGrant });
}

// Impersonation, and with an actor_token delegation: the actor, and who acted before it, stand in act (section 4.1).
async function tokenExchange(provider, published, ctx) {
  const { params } = ctx.oidc;
  const wanted = params.requested_token_type ?? tokenType('access_token');
  if (wanted !== tokenType('access_token')) throw new errors.InvalidRequest('requested_token_type is not supported');
  if (!params.actor_token !== !params.actor_token_type) throw new errors.InvalidRequest('actor_token and its type go together');

  const read = (name) => claimsOf(provider, published, name, ctx.oidc);
  const subject = await read('subject_token');
  const actor = params.actor_token && await read('actor_token');
  // The names of audiences are those of resources here.
  params.resource = [params.resource ?? [], params.audience ?? []].flat();
  await issue(provider, ctx, subject.sub, {
    act: actor ? { sub: actor.sub, ...(subject.act && { act: subject.act }) } : undefined,
    issuedTokenType: wanted,
    Refusal: errors.InvalidRequest,
  });
}

// claimsOf reads an access token, opaque or not, or an ID token of ours. Section 2.2.2 has invalid_request for all others.
async function claimsOf(provider, published, name, { client, params }) {
  const token = params[name];
  const isAccessToken = params[`${name}_type`] === tokenType('access_token');
  if (!token || !(isAccessToken || params[`${name}_type`] === tokenType('id_token'))) {
    throw new errors.InvalidRequest(`${name} is missing, or its type is not supported`);
  }
  const { AccessToken, ClientCredentials } = provider;
  const opaque = isAccessToken && (await AccessToken.find(token) ?? await ClientCredentials.find(token));
  if (opaque) return { sub: opaque.accountId ?? opaque.clientId, act: opaque.extra?.act };
  const expected = isAccessToken ? { typ: 'at+jwt' } : { audience: client.clientId };
  try {
    return (await jwtVerify(token, published, { issuer: provider.issuer, ...expected })).payload;
  } catch (cause) {
    throw new errors.InvalidRequest(`${name} is invalid`, undefined, { cause });
  }
}

async function issue(provider, ctx, accountId, { act, issuedTokenType, Refusal }) {
  const account = await helpers.findAccount(provider, ctx, accountId);
  if (!account) throw new Refusal('there is no such user');
  const { client, params } = ctx.oidc;
  const dPoP = await helpers.validateDpop(provider, ctx);
  helpers.checkDpopRequired(provider, ctx, dPoP);
  const certificate = helpers.checkMtlsCert(provider, ctx);
  const [server, ...more] = await helpers.resolveRequestedResources(provider, ctx);
  if (more.length) throw new errors.InvalidTarget('one resource or audience at a time');
  const scopes = [...helpers.validateClientScope(provider, ctx)].filter((scope) => !server || server.scopes.has(scope));

  const grant = new provider.Grant({ accountId, clientId: client.clientId });
  if (scopes.length) grant.addOIDCScope(scopes.join(' '));
  const token = new provider.AccessToken({
    accountId, client, grantId: await grant.save(), gty: params.grant_type, scope: scopes.join(' ') || undefined,
  });
  if (server) token.resourceServer = server;
  if (certificate) token.setThumbprint('x5t', certificate);
  if (dPoP) {
    await helpers.checkDpopReplay(provider, ctx, dPoP, client.clientId);
    token.setThumbprint('jkt', dPoP.thumbprint);
  }
  token.act = act; // for extraTokenClaims
  ctx.body = helpers.buildTokenResponse(provider, {
    accessToken: await token.save(),
    expiresIn: token.expiration,
    issuedTokenType,
    scope: token.scope,
    tokenType: token.tokenType,
  });
}
