package report

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// Machine says where something is about to be measured, how busy it is, and with
// which versions of the modules that are named.
func Machine(modules ...string) string {
	lines := []string{runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH + ", " + cpu()}
	if content, err := os.ReadFile("/proc/loadavg"); err == nil { // on Linux
		load, _, _ := strings.Cut(string(content), " ")
		lines = append(lines, "load average before "+load)
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range modules {
			for _, d := range info.Deps {
				if d.Path == m {
					lines = append(lines, strings.TrimPrefix(m, "github.com/")+" "+d.Version)
				}
			}
		}
	}
	return strings.Join(lines, "; ")
}

// cpu is what Linux calls the processor.
func cpu() string {
	content, _ := os.ReadFile("/proc/cpuinfo") // elsewhere it stays unnamed
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value) + " × " + cores()
		}
	}
	return cores() + " cores"
}

func cores() string { return strconv.Itoa(runtime.GOMAXPROCS(0)) }
