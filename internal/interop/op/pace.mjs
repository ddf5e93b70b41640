// The library tells device and CIBA clients no interval, and minds it not how often they ask. Both are ours.

const asksForCodes = new Set(['device_authorization', 'backchannel_authentication']);

// pace returns a middleware that tells clients to leave so many seconds between two polls, and answers slow_down to
// those who do not (RFC 8628, section 3.5; CIBA Core, section 11).
export function pace(interval) {
  const polled = new Map(); // device code or auth_req_id to the time of the last poll
  const least = interval * 1000 - 100; // timers of client and server need not agree exactly

  return async function keepPace(ctx, next) {
    await next();
    const { oidc: { route, params } = {}, body } = ctx;
    if (asksForCodes.has(route) && ctx.status === 200) body.interval = interval;
    const code = params?.device_code ?? params?.auth_req_id;
    if (route !== 'token' || !code) return;

    const now = Date.now();
    if (body?.error === 'authorization_pending' && now - polled.get(code) < least) body.error = 'slow_down';
    polled.set(code, now);
  };
}
