package clientauth_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/clientauth"
)

// keeping has a secret that it read some time ago, and reads it anew only when it is told to.
type keeping struct{ kept, current clientauth.Secret }

func (k *keeping) Secret(context.Context) (clientauth.Secret, error) { return k.kept, nil }

func (k *keeping) Renew(context.Context) (clientauth.Secret, error) {
	k.kept = k.current
	return k.kept, nil
}

// A source that keeps what it has read is told to read it anew.
func TestRenew_AsksTheSourceToReadAnew(t *testing.T) {
	t.Parallel()
	source := &keeping{kept: "old", current: "old"}
	m := clientauth.SecretPost(source)
	authenticate(t, m)
	source.current = "new"
	changed, err := renew(t, m)
	require.NoError(t, err)
	require.True(t, changed)
	require.Equal(t, "new", authenticate(t, m).Form.Get("client_secret"))
}
