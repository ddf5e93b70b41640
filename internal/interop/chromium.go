package interop

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A Scene is where a script of chromium/scenarios.mjs plays.
type Scene struct {
	App      string `json:"app"`    // URL of the application
	Issuer   string `json:"issuer"` // URL of the provider
	ClientID string `json:"clientID"`
	// TokenLife is how long access tokens live, in milliseconds.
	TokenLife int64 `json:"tokenLife"`
	// SessionLife is how long sessions live, in milliseconds, where the script waits for their end.
	SessionLife int64 `json:"sessionLife"`
}

// Play has a person's real browser, Chromium, do what the script of that name says, and fails the test if it does not end
// as the script says. Pages on the way are saved as pictures to the folder that INTEROP_SCREENSHOTS names, if it does.
func Play(t testing.TB, script string, scene Scene) {
	t.Helper()
	dir := filepath.Join(moduleDir(t), "chromium")
	install(t, dir)
	text, err := json.Marshal(scene)
	if err != nil {
		t.Fatalf("interop: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(t, "node", "the scripts need Node.js 20 or later"), "play.mjs", script, string(text))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CHROMIUM="+program(t, "chromium", "apt-get install chromium"), "PROFILE="+t.TempDir())
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that it ends its browser
	cmd.WaitDelay = 10 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("interop: %s: %v\n%s", script, err, out)
	}
}
