package middleware_test

import (
	"bytes"
	"crypto/rand"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/seal"
	"github.com/oidckit/oidckit/middleware"
)

const cookieOrigin = "https://app.example.com"

func cookieLogin(keys *seal.Ring) middleware.CookieLogin {
	return middleware.NewCookieLogin(middleware.LoginConfig{CookieName: "app"}, cookieOrigin, true, keys)
}

// cookieJar is what a browser has of one host.
type cookieJar map[string]string

func (j cookieJar) request() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, name := range slices.Sorted(maps.Keys(j)) {
		r.AddCookie(&http.Cookie{Name: name, Value: j[name]})
	}
	return r
}

func (j cookieJar) take(t testing.TB, w *httptest.ResponseRecorder) {
	t.Helper()
	for _, c := range cookiesOf(w) {
		if c.MaxAge < 0 {
			delete(j, c.Name)
			continue
		}
		j[c.Name] = c.Value
	}
}

// cookiesOf is what a response sets so far.
func cookiesOf(w *httptest.ResponseRecorder) []*http.Cookie {
	return (&http.Response{Header: w.Header()}).Cookies()
}

// keep sets plain as a response to a request of this browser.
func (j cookieJar) keep(t testing.TB, l middleware.CookieLogin, plain []byte) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	require.NoError(t, l.Set(w, j.request(), "session", "session", plain, time.Hour, http.SameSiteLaxMode))
	j.take(t, w)
	return w
}

func random(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b)
	return b
}

// largest is the most that fits.
func largest(t testing.TB, l middleware.CookieLogin) int {
	t.Helper()
	fits := 0
	for step := 1 << 14; step > 0; step /= 2 {
		if l.Set(httptest.NewRecorder(), cookieJar{}.request(), "session", "session", make([]byte, fits+step), time.Hour, http.SameSiteLaxMode) == nil {
			fits += step
		}
	}
	return fits
}

// Needs 20: browsers drop a cookie of more than 4096 bytes and say nothing.
func TestNeeds20_ALargeSessionIsInSeveralCookies(t *testing.T) {
	t.Parallel()
	l := cookieLogin(seal.Random())
	most := largest(t, l)
	require.Greater(t, most, 10<<10)
	chunks := make(map[int]bool)
	for _, size := range []int{0, 1, 2000, 2700, 2800, 5500, 8300, most - 1, most} {
		jar, plain := cookieJar{}, random(size)
		lines := jar.keep(t, l, plain).Header()["Set-Cookie"]
		chunks[len(lines)] = true
		require.LessOrEqual(t, len(lines), middleware.MaxChunks)
		for _, line := range lines {
			require.LessOrEqual(t, len(line), middleware.MaxCookieLine, "name and attributes and all")
		}
		got, stale, ok := l.Get(jar.request(), "session", "session")
		require.True(t, ok, size)
		require.False(t, stale)
		require.True(t, bytes.Equal(plain, got))
	}
	require.Len(t, chunks, middleware.MaxChunks, "each number of chunks was there")
}

// F19: what does not fit is an error that says what to do, and changes nothing.
func TestF19_ASessionThatDoesNotFitIsAnError(t *testing.T) {
	t.Parallel()
	l := cookieLogin(seal.Random())
	for _, size := range []int{largest(t, l) + 1, 1 << 20} {
		w := httptest.NewRecorder()
		err := l.Set(w, cookieJar{}.request(), "session", "session", make([]byte, size), time.Hour, http.SameSiteLaxMode)
		var tooBig *middleware.SessionTooBigError
		require.ErrorAs(t, err, &tooBig)
		require.Greater(t, tooBig.Size, tooBig.Max)
		require.Greater(t, tooBig.Size, size)
		require.LessOrEqual(t, tooBig.Max, middleware.MaxChunks*middleware.MaxCookieLine)
		require.Empty(t, w.Header())
	}
}

// F16: a host beside ours may set a cookie of the same name, where __Host- is not to be had or
// not minded. Which of two is ours cannot be seen.
func TestF16_TwoCookiesOfOneNameAreNone(t *testing.T) {
	t.Parallel()
	l := cookieLogin(seal.Random())
	jar := cookieJar{}
	jar.keep(t, l, random(5000))
	require.Len(t, jar, 2)
	for name, value := range jar {
		for _, planted := range []string{name + "=planted", name + "=" + value, name + "=", name, " " + name + " =x"} {
			for where, header := range map[string]func(own string) []string{
				"before":          func(own string) []string { return []string{planted + "; " + own} },
				"after":           func(own string) []string { return []string{own + ";" + planted} },
				"line of its own": func(own string) []string { return []string{own, planted} },
			} {
				r := jar.request()
				r.Header["Cookie"] = header(r.Header.Get("Cookie"))
				_, _, ok := l.Get(r, "session", "session")
				require.False(t, ok, "%s: %s", where, planted)
			}
		}
	}
	r := jar.request()
	r.Header["Cookie"] = append(strings.Split(r.Header.Get("Cookie"), "; "), "other=1; app_session=x; __Host-app_session_9=x; __Host-app_sessions=x; __Host-app_session_=x; ;=;")
	_, _, ok := l.Get(r, "session", "session")
	require.True(t, ok, "HTTP/2 has a line for each; other names are not ours")
}

func TestF16_CookiesAreOfThisHostAlone(t *testing.T) {
	t.Parallel()
	w := cookieJar{}.keep(t, cookieLogin(seal.Random()), random(5000))
	for _, c := range cookiesOf(w) {
		require.True(t, strings.HasPrefix(c.Name, "__Host-app_session"))
		require.True(t, c.Secure)
		require.True(t, c.HttpOnly)
		require.Equal(t, "/", c.Path)
		require.Empty(t, c.Domain)
		require.Equal(t, http.SameSiteLaxMode, c.SameSite)
		require.Equal(t, 3600, c.MaxAge)
	}
}

// F17: a cookie is for one use in one application.
func TestF17_ACookieOpensInItsPlaceOnly(t *testing.T) {
	t.Parallel()
	keys := sharedKeys(t, olderSecret)
	l := cookieLogin(keys)
	jar := cookieJar{}
	jar.keep(t, l, random(3000))
	renamed := func(from, to string) *http.Request {
		other := cookieJar{}
		for name, value := range jar {
			other[strings.Replace(name, from, to, 1)] = value
		}
		return other.request()
	}
	config := middleware.LoginConfig{CookieName: "app"}
	for name, v := range map[string]struct {
		login         middleware.CookieLogin
		r             *http.Request
		name, purpose string
	}{
		"another purpose":     {l, jar.request(), "session", "login"},
		"another name":        {l, renamed("session", "login"), "login", "session"},
		"another application": {middleware.NewCookieLogin(middleware.LoginConfig{CookieName: "b"}, cookieOrigin, true, keys), renamed("app", "b"), "session", "session"},
		"another host":        {middleware.NewCookieLogin(config, "https://b.example.com", true, keys), jar.request(), "session", "session"},
		"plain http":          {middleware.NewCookieLogin(config, cookieOrigin, false, keys), renamed("__Host-", ""), "session", "session"},
		"another key":         {cookieLogin(sharedKeys(t, newerSecret)), jar.request(), "session", "session"},
		"no cookie":           {l, cookieJar{}.request(), "session", "session"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plain, _, ok := v.login.Get(v.r, v.name, v.purpose)
			require.False(t, ok)
			require.Nil(t, plain)
		})
	}
}

func TestNeeds21_ACookieOfAnOlderKeyIsStale(t *testing.T) {
	t.Parallel()
	jar := cookieJar{}
	jar.keep(t, cookieLogin(sharedKeys(t, olderSecret)), []byte("alice"))
	l := cookieLogin(sharedKeys(t, newerSecret, olderSecret))
	plain, stale, ok := l.Get(jar.request(), "session", "session")
	require.True(t, ok)
	require.True(t, stale)
	require.Equal(t, "alice", string(plain))

	jar.keep(t, l, plain)
	_, stale, ok = l.Get(jar.request(), "session", "session")
	require.True(t, ok)
	require.False(t, stale)
}

// Needs 20: chunks of a longer value neither stay nor disturb.
func TestNeeds20_ChunksOfALongerSessionGo(t *testing.T) {
	t.Parallel()
	l := cookieLogin(seal.Random())
	jar := cookieJar{}
	jar.keep(t, l, random(9000))
	require.Len(t, jar, 4)
	long := maps.Clone(jar)
	jar.keep(t, l, []byte("alice"))
	require.Len(t, jar, 1)

	maps.Copy(long, jar) // the browser kept them, whatever it was told
	plain, _, ok := l.Get(long.request(), "session", "session")
	require.True(t, ok)
	require.Equal(t, "alice", string(plain))
}

func TestNeeds20_AMissingOrMixedChunkIsNobody(t *testing.T) {
	t.Parallel()
	l := cookieLogin(seal.Random())
	one, two := cookieJar{}, cookieJar{}
	one.keep(t, l, random(9000))
	two.keep(t, l, random(9000))
	for name, value := range one {
		missing := maps.Clone(two)
		delete(missing, name)
		_, _, ok := l.Get(missing.request(), "session", "session")
		require.False(t, ok, "without %s", name)

		mixed := maps.Clone(two)
		mixed[name] = value
		_, _, ok = l.Get(mixed.request(), "session", "session")
		require.False(t, ok, "with another %s", name)
	}
}

func TestF16_OneCharacterOfACookieIsNotAnother(t *testing.T) {
	t.Parallel()
	const name, alphabet = "__Host-app_session", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	l := cookieLogin(seal.Random())
	for _, size := range []int{9, 10, 11} { // each number of bits that base64 has left over
		jar := cookieJar{}
		jar.keep(t, l, random(size))
		own := jar[name]
		for _, c := range []byte(alphabet + "0123456789=\"/+\xff ,") {
			for _, value := range []string{own[:len(own)-1] + string(c), own + string(c), string(c) + own[1:], string(c)} {
				if value == own || strings.TrimRight(value, " ") == own {
					continue
				}
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.Header.Set("Cookie", name+"="+value)
				_, _, ok := l.Get(r, "session", "session")
				require.False(t, ok, value)
			}
		}
	}
}

func TestDroppedCookies(t *testing.T) {
	t.Parallel()
	l := cookieLogin(seal.Random())
	jar := cookieJar{}
	jar.keep(t, l, random(9000))

	w := httptest.NewRecorder()
	l.Drop(w, jar.request(), "session")
	require.Len(t, cookiesOf(w), 4)
	jar.take(t, w)
	require.Empty(t, jar)

	w = httptest.NewRecorder()
	l.Drop(w, jar.request(), "session")
	require.Empty(t, w.Header()["Set-Cookie"], "there is nothing to drop")
}

// RFC 6265 section 4.1.1: one response sets no cookie twice. The last word counts.
func TestTheLastWordOnACookieCounts(t *testing.T) {
	t.Parallel()
	l := cookieLogin(seal.Random())
	w, r := httptest.NewRecorder(), cookieJar{}.request()
	http.SetCookie(w, &http.Cookie{Name: "of_the_application", Value: "1"})
	for _, size := range []int{9000, 10} {
		require.NoError(t, l.Set(w, r, "session", "session", random(size), time.Hour, http.SameSiteLaxMode))
	}
	names := make(map[string]int)
	for _, c := range cookiesOf(w) {
		names[c.Name]++
	}
	require.Equal(t, map[string]int{
		"of_the_application": 1, "__Host-app_session": 1, "__Host-app_session_1": 1, "__Host-app_session_2": 1, "__Host-app_session_3": 1,
	}, names)
	jar := cookieJar{}
	jar.take(t, w)
	require.Len(t, jar, 2)

	l.Drop(w, r, "session")
	jar.take(t, w)
	require.Equal(t, cookieJar{"of_the_application": "1"}, jar)
}

// A browser takes no Lax cookie from a frame or a form of another site, and a cookie that is
// Secure is replaced by one that is Secure only.
func TestF18_CookiesGoFromWhereTheyAreSentTo(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]struct {
		cfg  middleware.LoginConfig
		want http.SameSite
	}{
		"by default":           {middleware.LoginConfig{CookieName: "app"}, http.SameSiteLaxMode},
		"form_post":            {middleware.LoginConfig{CookieName: "app", FormPost: true}, http.SameSiteNoneMode},
		"front-channel logout": {middleware.LoginConfig{CookieName: "app", FrontChannelLogout: true}, http.SameSiteNoneMode},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := middleware.NewCookieLogin(v.cfg, "http://localhost:8080", false, seal.Random())
			jar, w := cookieJar{}, httptest.NewRecorder()
			require.NoError(t, l.Set(w, jar.request(), "session", "session", []byte("alice"), time.Hour, v.want))
			jar.take(t, w)
			w = httptest.NewRecorder()
			l.Drop(w, jar.request(), "session")
			for _, c := range cookiesOf(w) {
				require.Equal(t, v.want, c.SameSite)
				require.Equal(t, v.want == http.SameSiteNoneMode, c.Secure)
			}
		})
	}
}

// Max-Age=0 would be left out, and the cookie last as long as the browser.
func TestAShortLifeIsNotALongOne(t *testing.T) {
	t.Parallel()
	l := cookieLogin(seal.Random())
	for _, life := range []time.Duration{time.Millisecond, 0, -time.Hour} {
		w := httptest.NewRecorder()
		require.NoError(t, l.Set(w, cookieJar{}.request(), "session", "session", nil, life, http.SameSiteLaxMode))
		require.Equal(t, 1, cookiesOf(w)[0].MaxAge)
	}
}

// FuzzChunksNeverMakeSomethingElse: whatever cookies arrive in whatever order, what opens is
// one of the values that were set, and net/http sees each of its cookies once.
func FuzzChunksNeverMakeSomethingElse(f *testing.F) {
	l := cookieLogin(seal.Random())
	var pool []string
	values := map[string]bool{}
	for _, size := range []int{10, 3000, 3001, 6000, 9000} {
		jar, plain := cookieJar{}, random(size)
		jar.keep(f, l, plain)
		values[string(plain)] = true
		for _, name := range slices.Sorted(maps.Keys(jar)) {
			pool = append(pool, name+"="+jar[name])
		}
	}
	f.Add([]byte{0}, "", "")
	f.Add([]byte{1, 2}, "", "; ")
	f.Add([]byte{2, 1}, "other=1", ";")
	f.Add([]byte{8, 9, 10, 11}, "__Host-app_session_1", ";\t")
	f.Add([]byte{8, 9, 10, 11, 2}, "__Host-app_session =x", "; ")
	f.Add([]byte("00"), "0", "\n")
	f.Add([]byte{0x81, 0x82, 3}, "__Host-app_session=2", "")
	f.Fuzz(func(t *testing.T, picks []byte, stranger, separator string) {
		if len(picks) > 16 {
			return
		}
		var line []string
		for _, p := range picks {
			cookie := pool[int(p&0x7f)%len(pool)]
			if p&0x80 != 0 { // under another number
				_, value, _ := strings.Cut(cookie, "=")
				cookie = "__Host-app_session_" + strconv.Itoa(int(p)%5) + "=" + value
			}
			line = append(line, cookie)
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Cookie"] = []string{strings.Join(line, "; "+strings.Trim(separator, "=")), stranger}
		plain, _, ok := l.Get(r, "session", "session")
		if !ok {
			return
		}
		if !values[string(plain)] {
			t.Fatal("something else came of it")
		}
		if n := len(r.CookiesNamed("__Host-app_session")); n != 1 {
			t.Fatalf("net/http sees %d cookies of the name", n)
		}
	})
}

func BenchmarkGetSealed(b *testing.B) {
	l := cookieLogin(seal.Random())
	jar := cookieJar{"_ga": "GA1.1.1234567890.1234567890", "theme": "dark", "csrf": rand.Text()}
	jar.keep(b, l, random(4096))
	r := jar.request()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := l.Get(r, "session", "session"); !ok {
			b.Fatal("nobody")
		}
	}
}

// What four times r.CookiesNamed would cost, to compare.
func BenchmarkCookiesNamed(b *testing.B) {
	l := cookieLogin(seal.Random())
	jar := cookieJar{"_ga": "GA1.1.1234567890.1234567890", "theme": "dark", "csrf": rand.Text()}
	jar.keep(b, l, random(4096))
	r := jar.request()
	b.ReportAllocs()
	for b.Loop() {
		for i := range middleware.MaxChunks {
			_ = r.CookiesNamed("__Host-app_session_" + strconv.Itoa(i))
		}
	}
}
