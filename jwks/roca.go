package jwks

import "math/big"

// A smallPrime is one of the first 39. Each prime factor that the broken generator
// made is kM + (65537^a mod M), where M is the product of the first 39 primes, or of
// more of them for longer keys (Nemec et al. 2017, "The Return of Coppersmith's
// Attack"). So the modulus is a power of 65537 modulo each of these primes, which
// one that was made in another way is with a chance of 2^-28.
type smallPrime struct {
	value int64
	order int64 // of 65537 modulo value
}

var smallPrimes = func() (list []smallPrime) {
	for n := int64(2); n <= 167; n++ {
		if big.NewInt(n).ProbablyPrime(0) { // exact for small numbers
			list = append(list, smallPrime{n, orderOf(65537, n)})
		}
	}
	return list
}()

// orderOf returns the least k > 0 for which g^k is 1 modulo the prime p.
func orderOf(g, p int64) (k int64) {
	power := g % p
	for k = 1; power != 1; k++ {
		power = power * g % p
	}
	return k
}

// isROCA reports whether n is a power of 65537 modulo every small prime. The
// multiplicative group of a prime is cyclic: its elements whose order divides that
// of 65537 are the powers of 65537, and no others.
func isROCA(n *big.Int) bool {
	for _, p := range smallPrimes {
		if power(remainder(n, p.value), p.order, p.value) != 1 {
			return false
		}
	}
	return true
}

// hasSmallFactor is for numbers that are the product of nothing large.
func hasSmallFactor(n *big.Int) bool {
	for _, p := range smallPrimes {
		if remainder(n, p.value) == 0 {
			return true
		}
	}
	return false
}

func remainder(n *big.Int, p int64) int64 {
	return new(big.Int).Mod(n, big.NewInt(p)).Int64()
}

func power(base, exponent, p int64) int64 {
	result := int64(1) % p
	for range exponent {
		result = result * base % p
	}
	return result
}
