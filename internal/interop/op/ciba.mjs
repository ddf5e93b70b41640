// Backchannel authentication (CIBA): the user's other device is POST /test/ciba, see provider.mjs.

import { errors } from 'oidc-provider';

export const ciba = {
  enabled: true,
  deliveryModes: ['poll', 'ping'],
  processLoginHint: async (ctx, hint) => hint, // an account's name; the library then looks for that account
  processLoginHintToken: async () => undefined, // of nobody
  validateBindingMessage: async (ctx, message) => {
    if (message?.length > 20) throw new errors.InvalidBindingMessage('at most 20 characters fit on the device');
  },
  validateRequestContext: async () => {},
  verifyUserCode: async () => {},
  triggerAuthenticationDevice: async () => {},
};

// finish is the user's yes or no. To a client that wants it, the library sends the ping before this returns.
export async function finish(provider, id, approved) {
  const request = await provider.BackchannelAuthenticationRequest.find(id);
  if (!request) throw Object.assign(new Error('no such auth_req_id'), { statusCode: 404 });
  if (!approved) return provider.backchannelResult(request, new errors.AccessDenied('the user said no'));

  const { accountId, clientId, scope, resource = [] } = request;
  const grant = new provider.Grant({ accountId, clientId });
  grant.addOIDCScope(scope);
  [resource].flat().forEach((server) => grant.addResourceScope(server, scope));
  await grant.save();
  return provider.backchannelResult(request, grant, {
    acr: 'urn:test:loa:1', amr: ['pop'], authTime: Math.floor(Date.now() / 1000),
  });
}
