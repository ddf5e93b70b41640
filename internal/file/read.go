package file

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// A seen is what the file system says of a file.
type seen struct {
	info    fs.FileInfo
	err     error
	settled bool // it cannot have changed since without a trace
}

func seeAll(paths []string) []seen {
	list := make([]seen, len(paths))
	for i, path := range paths {
		info, err := os.Stat(path)
		// The clock of the file system moves in steps: what was written in the same step
		// after we had read would look the same. Its clock is the machine's, not Now.
		settled := err == nil && time.Since(info.ModTime()) > 2*time.Second
		list[i] = seen{info, err, settled}
	}
	return list
}

// unchanged reports whether files are those that were read. Nothing was read before
// the first time.
func unchanged(read, now []seen) bool {
	for i := range read {
		if !read[i].settled || now[i].err != nil || !same(read[i].info, now[i].info) {
			return false
		}
	}
	return len(read) > 0
}

func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func readAll(paths []string, files []seen, limit int64) ([][]byte, error) {
	contents := make([][]byte, len(paths))
	for i, path := range paths {
		var err error
		if contents[i], err = read(path, files[i], limit); err != nil {
			return nil, err
		}
	}
	return contents, nil
}

// read reads a file whose information was asked for. A pipe or a device might never
// end.
func read(path string, file seen, limit int64) ([]byte, error) {
	switch {
	case file.err != nil:
		return nil, file.err
	case !file.info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	f, err := os.Open(path) //nolint:gosec // G304: of the configuration
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return data, nil
}
