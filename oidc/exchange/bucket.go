package exchange

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// maxClients is how many are remembered. Who is forgotten begins with a full bucket, and
// only those who have not asked for longest are.
const maxClients = 1 << 14

// buckets hold what each client may still ask for: a bucket of burst requests, into which rate
// come back in a second.
type buckets struct {
	rate, burst float64
	mu          sync.Mutex
	clients     *simplelru.LRU[string, bucket]
}

type bucket struct {
	left float64
	at   time.Time
}

func newBuckets(rate float64, burst int) *buckets {
	clients, _ := simplelru.NewLRU[string, bucket](maxClients, nil) // the size is positive
	return &buckets{rate: rate, burst: float64(burst), clients: clients}
}

// take takes one request, or says how long to wait for it.
func (b *buckets) take(client string, now time.Time) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	have, ok := b.clients.Get(client)
	if !ok {
		have = bucket{left: b.burst, at: now}
	}
	if passed := now.Sub(have.at); passed > 0 { // a clock that was set back brings nothing
		have.left = min(b.burst, have.left+passed.Seconds()*b.rate)
	}
	have.at = now
	if have.left < 1 {
		wait = time.Duration((1 - have.left) / b.rate * float64(time.Second))
	} else {
		have.left--
	}
	b.clients.Add(client, have)
	return wait
}
