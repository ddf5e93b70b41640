// What the consumers share: they read cases from a file, and print what became of each. Requests go where
// HTTPS_PROXY says, which Node.js 20 does not do by itself.
import { readFileSync } from 'node:fs'
import { EnvHttpProxyAgent, setGlobalDispatcher } from 'undici'

setGlobalDispatcher(new EnvHttpProxyAgent())

// judge calls verify with each case: it returns the claims, or throws. reason names why it threw.
export async function judge(verify, reason) {
  const verdicts = {}
  for (const c of JSON.parse(readFileSync(process.argv[2]))) {
    try {
      const claims = await verify(c)
      verdicts[c.name] = `accepted ${claims.sub}`
    } catch (err) {
      verdicts[c.name] = reason(err) ?? `unexpected: ${err.stack} ${err.code} ${err.cause}`
    }
  }
  process.stdout.write(JSON.stringify(verdicts))
}
