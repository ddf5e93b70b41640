// Package file keeps the last good value of a file, or of files that belong together,
// and reads it again when they have changed: keys, key stores, secrets, certificates.
//
//	secret := file.New(file.Config[Secret]{
//		For: "clientauth", Paths: []string{path}, MaxSize: 64 << 10, Parse: parseSecret,
//	})
//	…
//	state := secret.Get(ctx) // state.Value, or state.Err if there never was one
//
// Whoever asks looks after the files, at most once a second; no goroutine watches. A
// link that is moved, as in a volume of Kubernetes, is a change.
package file
