package fetch_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/fetch"
)

// Each block with its first and last address, and what lies beside it.
var notPublic = []string{
	"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.100.100.200", "100.127.255.255", "127.0.0.1", "127.255.255.255",
	"168.63.129.16", "169.254.0.0", "169.254.169.254", "169.254.255.255", "172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.192", "192.0.0.255", "192.0.2.0", "192.0.2.255",
	"192.88.99.1", "192.168.0.0", "192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.0", "203.0.113.255",
	"224.0.0.0", "239.255.255.255", "240.0.0.0", "255.255.255.255",
	"::", "::1", "::7f00:1", "::808:808", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:7f00:1",
	"64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::a00:1", "64:ff9b:1:ffff::808:808", "100::1", "1fff::1",
	"2001::1", "2001:0:4136:e378::1", "2001:2::1", "2001:20::1", "2001:1ff:ffff::1", "2001:db8::1", "2002:7f00:1::1", "2002:808:808::1", "3fff::1", "3fff:fff::1",
	"4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fdff::1", "fe80::1", "fe80::1%lo", "febf::1", "fec0::1", "ff02::1", "ff0e::1", "2606:4700::1111%eth0", "::ffff:8.8.8.8%eth0",
}

var public = []string{
	"1.0.0.0", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "168.63.129.15", "168.63.129.17",
	"169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0", "192.167.255.255", "192.169.0.0",
	"198.17.255.255", "198.20.0.0", "198.51.99.255", "203.0.114.0", "223.255.255.255", "::ffff:8.8.8.8",
	"2001:200::1", "2001:4860:4860::8888", "2001:db7::1", "2001:db9::1", "2003::1", "2606:4700::1111", "3ffe::1", "3fff:1000::1",
}

func TestD03_OnlyPublicAddressesAreDialled(t *testing.T) {
	t.Parallel()
	cfg := fetch.Config{PublicOnly: true, InsecureHTTP: true}
	dial := func(ip string) error {
		return fetch.RefuseSpecial(t.Context(), "tcp", net.JoinHostPort(ip, "443"), nil)
	}
	literal := func(ip string) string { return "https://[" + strings.ReplaceAll(ip, "%", "%25") + "]/" }
	for _, ip := range notPublic {
		require.ErrorIs(t, dial(ip), fetch.ErrNotPublic, ip)
		if strings.Contains(ip, ":") {
			require.ErrorIs(t, cfg.CheckURL(literal(ip)), fetch.ErrNotPublic, ip)
		} else {
			require.ErrorIs(t, dial("::ffff:"+ip), fetch.ErrNotPublic, ip)
			require.ErrorIs(t, cfg.CheckURL("https://"+ip), fetch.ErrNotPublic, ip)
		}
	}
	for _, ip := range public {
		require.NoError(t, dial(ip), ip)
		if strings.Contains(ip, ":") {
			require.NoError(t, cfg.CheckURL(literal(ip)), ip)
		} else {
			require.NoError(t, dial("::ffff:"+ip), ip)
			require.NoError(t, cfg.CheckURL("https://"+ip), ip)
		}
	}
	for _, odd := range []string{"", "/run/socket", "op.example:443", "127.0.0.1", "8.8.8.8"} {
		require.Error(t, fetch.RefuseSpecial(t.Context(), "tcp", odd, nil), odd)
	}
}

// However this machine is spelled, nothing arrives. (Those that reach a resolver
// are found by TestD03_NamesAreCheckedAfterDNS.)
func TestD03_SpellingsOfLoopback(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(server.Close)
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	for _, hc := range []*http.Client{nil, {}, {Transport: &http.Transport{}}} {
		cfg := fetch.Config{PublicOnly: true, InsecureHTTP: true, HTTPClient: hc}
		require.NoError(t, cfg.Check())
		for _, host := range []string{
			"127.0.0.1", "127.1", "2130706433", "017700000001", "0177.0.0.1", "0x7f000001", "0x7F.1", "0X7f.0x0.0x0.0x1", "127.0.0.1.", "127.0.0.01", "0",
			"[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "[::127.0.0.1]", "[fe80::1%25lo]",
			"localhost", "LOCALHOST", "localhost.", "op.localhost", "OP.LocalHost.",
			"１２７。０。０。１", // what net/http makes an address of, after all checks of its spelling
		} {
			_, err := fetch.New(cfg).Get(t.Context(), "http://"+host+port, jsonType)
			requireError(t, err)
			require.ErrorIs(t, err, fetch.ErrNotPublic, host)
		}
	}
	require.Zero(t, reached.Load())
}

func TestD03_NoExceptionForLoopback(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"http://localhost", "http://127.0.0.1", "http://[::1]", "https://localhost", "https://10.0.0.1"} {
		require.ErrorIs(t, fetch.Config{PublicOnly: true}.CheckURL(target), fetch.ErrNotPublic, target)
	}
	require.Error(t, fetch.Config{PublicOnly: true}.CheckURL("http://op.example"))
	for _, target := range []string{"https://op.example", "https://op.example.", "https://localhost.example", "https://0x7g.example", "https://1.2.3.example", "https://xn--p1ai", "https://4u.0xyz", "https://op.cafe"} {
		require.NoError(t, fetch.Config{PublicOnly: true}.CheckURL(target), target)
	}
}

// A name is judged by the address that is dialled, so one that changes it between
// two questions gains nothing. Not parallel: the resolver is a global one.
func TestD03_K12_NamesAreCheckedAfterDNS(t *testing.T) {
	var reached atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(server.Close)
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	original := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = original })
	for _, ip := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"} {
		var questions atomic.Int32
		net.DefaultResolver = resolver(func() netip.Addr {
			if questions.Add(1) == 1 {
				return netip.MustParseAddr("8.8.8.8")
			}
			return netip.MustParseAddr(ip)
		})
		first, err := net.DefaultResolver.LookupHost(t.Context(), "rebind.example")
		require.NoError(t, err)
		require.Equal(t, []string{"8.8.8.8"}, first)
		_, err = fetch.New(fetch.Config{PublicOnly: true, InsecureHTTP: true}).Get(t.Context(), "http://rebind.example"+port, jsonType)
		requireError(t, err)
		require.ErrorIs(t, err, fetch.ErrNotPublic, ip)
		require.EqualValues(t, 2, questions.Load())
	}
	require.Zero(t, reached.Load())

	// The same without PublicOnly arrives: the test would notice.
	net.DefaultResolver = resolver(func() netip.Addr { return netip.MustParseAddr("127.0.0.1") })
	_, err := fetch.New(fetch.Config{InsecureHTTP: true}).Get(t.Context(), "http://rebind.example"+port, jsonType)
	requireError(t, err)
	require.EqualValues(t, 1, reached.Load())
}

// resolver answers every question for an IPv4 address with what address returns,
// and every other one with nothing.
func resolver(address func() netip.Addr) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			length := make([]byte, 2)
			for {
				if _, err := io.ReadFull(far, length); err != nil {
					return
				}
				message := make([]byte, binary.BigEndian.Uint16(length))
				if _, err := io.ReadFull(far, message); err != nil {
					return
				}
				reply := dnsAnswer(message, address)
				_, _ = far.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
			}
		}()
		return near, nil
	}}
}

// dnsAnswer: RFC 1035 section 4.1.
func dnsAnswer(query []byte, address func() netip.Addr) []byte {
	end := 12
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5 // the root label, type and class
	reply := append([]byte{}, query[:end]...)
	copy(reply[2:12], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0})
	if binary.BigEndian.Uint16(query[end-4:]) == 1 { // A
		reply[7] = 1
		reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		reply = append(reply, address().AsSlice()...)
	}
	return reply
}

// Where the addresses that are dialled cannot be seen, PublicOnly is no promise:
// that is an error, not a surprise.
func TestD03_ClientsThatDialThemselves(t *testing.T) {
	t.Parallel()
	dial := func(string, string) (net.Conn, error) { panic("dialled") }
	dialContext := func(context.Context, string, string) (net.Conn, error) { panic("dialled") }
	for name, transport := range map[string]http.RoundTripper{
		"DialContext":    &http.Transport{DialContext: dialContext},
		"DialTLSContext": &http.Transport{DialTLSContext: dialContext},
		//lint:ignore SA1019 old programs still set it
		"Dial": &http.Transport{Dial: dial},
		//lint:ignore SA1019 as above
		"DialTLS":           &http.Transport{DialTLS: dial},
		"Proxy":             &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { panic("asked") }},
		"any other":         roundTripper(func(*http.Request) (*http.Response, error) { panic("sent") }),
		"the default":       http.DefaultTransport,
		"a wrapped default": struct{ http.RoundTripper }{http.DefaultTransport},
	} {
		cfg := fetch.Config{PublicOnly: true, HTTPClient: &http.Client{Transport: transport}}
		bad := cfg.Check()
		require.Error(t, bad, name)
		require.True(t, strings.HasPrefix(bad.Error(), "HTTPClient.Transport"), bad)
		_, err := fetch.New(cfg).Get(t.Context(), "https://op.example", jsonType)
		requireError(t, err)
		require.ErrorIs(t, err, bad)
		cfg.PublicOnly = false
		require.NoError(t, cfg.Check(), name)
	}
}

func FuzzPublicOnlyHostsAreNames(f *testing.F) {
	require.NotEmpty(f, notPublic)
	for _, seed := range append([]string{"op.example", "127.1", "0x7f.1", "localhost", "a.localhost."}, notPublic...) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if (fetch.Config{PublicOnly: true}).CheckURL("https://"+host) != nil {
			return
		}
		u, err := url.Parse("https://" + host)
		require.NoError(t, err)
		ip, err := netip.ParseAddr(u.Hostname())
		if err != nil {
			require.False(t, fetch.IsLoopback(u.Hostname()))
			return
		}
		require.NoError(t, fetch.RefuseSpecial(t.Context(), "tcp", netip.AddrPortFrom(ip, 443).String(), nil))
		require.False(t, ip.IsPrivate() || ip.IsLoopback() || ip.IsMulticast() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.Zone() != "")
	})
}

func loopback() netip.Addr { return netip.MustParseAddr("127.0.0.1") }
