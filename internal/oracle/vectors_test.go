package oracle_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The vectors are of Project Wycheproof, which is a Go module. Nothing imports it,
// and go mod tidy would drop it from go.mod: its sum stands here, not in go.sum.
const (
	vectorsModule = "github.com/C2SP/wycheproof@v0.0.0-20250901140545-b51abcfb8daf"
	vectorsSum    = "h1:5BKKVVVj676FUWirLcouEEL6GCYR9X0opkMlEUck8FY="
)

// vectorsFolder has the go command fetch the vectors, or find them in its cache.
var vectorsFolder = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var told bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", vectorsModule)
	cmd.Stderr = &told
	out, failed := cmd.Output()
	var module struct{ Dir, Sum, Error string }
	if err := errors.Join(failed, json.Unmarshal(out, &module)); err != nil {
		return "", fmt.Errorf("no Wycheproof vectors: go mod download: %w, %s%s", err, module.Error, &told)
	}
	if module.Sum != vectorsSum {
		return "", fmt.Errorf("other Wycheproof vectors: %s has the sum %s and not %s", vectorsModule, module.Sum, vectorsSum)
	}
	return filepath.Join(module.Dir, "testvectors_v1"), nil
})

// readVectors reads a file of the vectors. What cannot be had fails the test.
func readVectors(t *testing.T, name string, v any) {
	t.Helper()
	folder, err := vectorsFolder()
	require.NoError(t, err)
	data, err := os.ReadFile(filepath.Join(folder, name+"_test.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, v))
}
