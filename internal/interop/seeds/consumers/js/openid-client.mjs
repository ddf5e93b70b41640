// npm's openid-client: a client for which a token endpoint has issued the token as an ID token. Metadata and keys are
// the issuer's own; only that one answer is made here.
import * as client from 'openid-client'
import { judge } from './cases.mjs'

await judge(
  async (c) => {
    const config = await client.discovery(new URL(c.issuer), c.audience, {
      id_token_signed_response_alg: c.algorithm, [client.clockTolerance]: 0,
    }, client.None())
    client.enableNonRepudiationChecks(config) // which checks the signature too
    const { token_endpoint: endpoint } = config.serverMetadata()
    config[client.customFetch] = (url, options) => url === endpoint
      ? Response.json({ access_token: 'unused', token_type: 'Bearer', id_token: c.token })
      : fetch(url, options)
    const tokens = await client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:token-exchange', {})
    return tokens.claims()
  },
  (err) => {
    let inner = err // which says what is wrong
    while (inner.cause instanceof Error) inner = inner.cause
    const claim = inner.cause?.claim
    if (inner.code === 'OAUTH_JWT_TIMESTAMP_CHECK_FAILED' && claim === 'exp') return 'expired'
    if (inner.code === 'OAUTH_JWT_CLAIM_COMPARISON_FAILED') return { iss: 'issuer', aud: 'audience' }[claim] ?? claim
    if (/signature verification failed/.test(inner.message)) return 'signature'
  },
)
