//go:build unix

package jwks_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/jwks"
)

// To open a pipe would be to wait for ever.
func TestReadFile_Pipe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	_, err := jwks.ReadFile(path)
	require.Error(t, err)
}
