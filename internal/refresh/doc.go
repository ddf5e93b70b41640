// Package refresh keeps the last good copy of something remote, and the one
// fetch that may replace it: the policy that metadata and key sets share.
//
//   - The first caller starts the fetch, everybody else waits for the same one.
//     It runs on a context of its own; a caller's cancelled context ends only
//     that caller's wait.
//   - A copy is fresh for as long as its source says, counted from the start of the
//     fetch. When it is due it still serves while one fetch in the background
//     replaces it, until a minute after it was fresh. Whoever comes later waits for
//     that fetch, two seconds at most, unless one has just failed.
//   - A fetch that fails changes nothing. A copy older than MaxStale beyond its
//     freshness serves no more: whoever asks gets oidckit.ErrUnavailable.
//   - A source that failed is left alone for a while, and a newer copy can be
//     asked for only so often, counted from the start of the attempt whatever
//     came of it: no stranger can make us call the source at will. Who comes too
//     soon is answered at once, never queued.
//   - Who reads a copy for which nothing is to be done takes no lock.
//
// Nothing runs while nobody asks.
package refresh
