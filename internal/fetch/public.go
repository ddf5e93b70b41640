package fetch

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// special4 are the IPv4 blocks that are not on the public Internet: those of
// the IANA IPv4 Special-Purpose Address Registry that are not globally
// reachable, multicast, and one address that only looks public.
var special4 = prefixes(
	"0.0.0.0/8",        // this network
	"10.0.0.0/8",       // private
	"100.64.0.0/10",    // shared (CGNAT)
	"127.0.0.0/8",      // loopback
	"168.63.129.16/32", // Azure's service for its virtual machines
	"169.254.0.0/16",   // link-local, with the metadata services
	"172.16.0.0/12",    // private
	"192.0.0.0/24",     // protocol assignments
	"192.0.2.0/24",     // documentation
	"192.88.99.0/24",   // 6to4 relays, deprecated
	"192.168.0.0/16",   // private
	"198.18.0.0/15",    // benchmarking
	"198.51.100.0/24",  // documentation
	"203.0.113.0/24",   // documentation
	"224.0.0.0/4",      // multicast
	"240.0.0.0/4",      // reserved, and broadcast
)

// global6 is all that IANA has given out as global unicast. Outside are
// loopback, unspecified, IPv4-compatible, NAT64 (64:ff9b::/96, 64:ff9b:1::/48),
// discard-only, unique local, link-local, multicast, and what is yet unknown.
var global6 = netip.MustParsePrefix("2000::/3")

// special6 are the blocks within global6 that are no place for a provider.
var special6 = prefixes(
	"2001::/23",     // protocol assignments; Teredo, which embeds an IPv4 address
	"2001:db8::/32", // documentation
	"2002::/16",     // 6to4, which embeds an IPv4 address
	"3fff::/20",     // documentation
)

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

func isPublic(ip netip.Addr) bool {
	if ip.Zone() != "" {
		return false
	}
	ip = ip.Unmap() // no block of IPv4 contains ::ffff:127.0.0.1
	contains := func(p netip.Prefix) bool { return p.Contains(ip) }
	if ip.Is4() {
		return !slices.ContainsFunc(special4, contains)
	}
	return global6.Contains(ip) && !slices.ContainsFunc(special6, contains)
}

// maybePublic reports whether host may be public by its spelling. It comes
// before DNS and saves a question; what it lets through is looked at again when
// it is dialled.
func maybePublic(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return isPublic(ip)
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	label := name[strings.LastIndexByte(name, '.')+1:]
	return label != "localhost" && !isNumber(label)
}

// isNumber: no top-level domain is a number, but resolvers of the C library read
// 2130706433, 0x7f.1 and 0177.0.0.1 as addresses.
func isNumber(label string) bool {
	digits, hex := strings.CutPrefix(label, "0x")
	return strings.Trim(digits, "0123456789") == "" || hex && strings.Trim(digits, "0123456789abcdef") == ""
}

// refuseSpecial is the ControlContext of a net.Dialer: it sees each address that
// is about to be connected to, after DNS.
func refuseSpecial(_ context.Context, _, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil || !isPublic(target.Addr()) {
		return ErrNotPublic
	}
	return nil
}
