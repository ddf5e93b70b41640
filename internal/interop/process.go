package interop

import (
	"bytes"
	"context"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// waitTimeout is long, because on a CI machine the programs started here share two cores with the Go compiler.
const waitTimeout = 60 * time.Second

// BuildExample builds the program in examples/<name> and returns its path. Examples that are modules of their
// own are built as such.
func BuildExample(t testing.TB, name string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), name)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", bin, ".")
	cmd.Dir = filepath.Join(moduleDir(t), "..", "..", "examples", name)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("interop: build examples/%s: %v\n%s", name, err, out)
	}
	return bin
}

// Process is a program that runs until the test ends.
type Process struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdin  io.Closer
	output lockedBuffer
	exited chan struct{}
	once   sync.Once
}

// Run starts a program. It has the test's environment, so [testing.T.Setenv] is the way to configure it. It is
// stopped when the test ends, and when that failed, its output is shown.
func Run(t testing.TB, bin string, args ...string) *Process {
	t.Helper()
	return start(t, "", nil, bin, args...)
}

// start runs a program in dir, with env added to the test's environment.
func start(t testing.TB, dir string, env []string, bin string, args ...string) *Process {
	t.Helper()
	// Not the test's own context: that ends before the cleanups, and would kill the program at once.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), bin, args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), env...)
	cmd.WaitDelay = time.Second
	p := &Process{t: t, cmd: cmd, exited: make(chan struct{})}
	cmd.Stdout = &p.output
	cmd.Stderr = &p.output
	// Open for as long as we live: a program that reads it sees our end, even if we are killed.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatalf("interop: %v", err)
	}
	p.stdin = stdin
	if err := cmd.Start(); err != nil {
		t.Fatalf("interop: start %s: %v", bin, err)
	}
	go func() {
		defer close(p.exited)
		_ = cmd.Wait() // how it ended is for Wait and the log to tell
	}()
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("output of %s %s, %v:\n%s", filepath.Base(bin), strings.Join(args, " "), cmd.ProcessState, p.Output())
		}
	})
	return p
}

// Wait returns the first line of the program's output, on stdout or stderr, that re matches, as
// [regexp.Regexp.FindStringSubmatch] does. It fails the test if the program ends, or a minute passes, without one.
func (p *Process) Wait(re *regexp.Regexp) []string {
	p.t.Helper()
	deadline := time.Now().Add(waitTimeout)
	for {
		ended := p.ended() // looked at first: what it wrote before its end is there afterwards
		if match := firstMatch(re, p.Output(), ended); match != nil {
			return match
		}
		if ended {
			p.t.Fatalf("interop: %s ended without a line that matches %s", filepath.Base(p.cmd.Path), re)
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("interop: %s wrote no line that matches %s within %v", filepath.Base(p.cmd.Path), re, waitTimeout)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// firstMatch passes over a last line that is still being written.
func firstMatch(re *regexp.Regexp, output string, ended bool) []string {
	for line := range strings.Lines(output) {
		if !ended && !strings.HasSuffix(line, "\n") {
			return nil
		}
		if match := re.FindStringSubmatch(strings.TrimRight(line, "\r\n")); match != nil {
			return match
		}
	}
	return nil
}

func (p *Process) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// Output returns what the program has written so far, stdout and stderr as they came.
func (p *Process) Output() string { return p.output.String() }

// Stop ends the program: politely, and after five seconds not so. A test need not call it.
func (p *Process) Stop() {
	p.once.Do(func() {
		_ = p.stdin.Close()
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails where it has ended already
		select {
		case <-p.exited:
		case <-time.After(5 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.exited
		}
	})
}

// Kill ends the program as a crash does: it has no say in it.
func (p *Process) Kill() {
	p.once.Do(func() {
		_ = p.stdin.Close()
		_ = p.cmd.Process.Kill() // fails where it has ended already
		<-p.exited
	})
}

// FreeAddress returns a loopback host:port where nobody listens, for a program that others must know of before it
// starts, or that comes back to where it was.
func FreeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("interop: %v", err)
	}
	defer func() { _ = listener.Close() }() // nobody has come
	return listener.Addr().String()
}

// lockedBuffer lets a test look at output while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
