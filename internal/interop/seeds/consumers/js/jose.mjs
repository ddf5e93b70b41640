// npm's jose: the keys are where the issuer's metadata say.
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'
import { judge } from './cases.mjs'

const known = new Map()

async function keysOf(issuer) {
  if (!known.has(issuer)) {
    const metadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()
    if (metadata.issuer !== issuer) throw new Error('these are metadata of another issuer')
    known.set(issuer, createRemoteJWKSet(new URL(metadata.jwks_uri)))
  }
  return known.get(issuer)
}

await judge(
  async (c) => {
    const { payload } = await jwtVerify(c.token, await keysOf(c.issuer), {
      issuer: c.issuer, audience: c.audience, algorithms: [c.algorithm], requiredClaims: ['exp', 'iat', 'sub', 'jti'],
    })
    return payload
  },
  (err) => {
    if (err instanceof errors.JWSSignatureVerificationFailed) return 'signature'
    if (err instanceof errors.JWTExpired) return 'expired'
    if (err instanceof errors.JWTClaimValidationFailed) return { iss: 'issuer', aud: 'audience' }[err.claim]
  },
)
