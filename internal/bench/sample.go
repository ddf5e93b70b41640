package bench

import (
	"errors"
	"fmt"
	"testing"
)

// A Sample is what one measurement of a Case found, per operation.
type Sample struct {
	CPU, Wall     float64 // nanoseconds
	Allocs, Bytes int64
}

// ErrBenchmark is a measurement that ended early.
var ErrBenchmark = errors.New("bench: the benchmark failed")

// Once does what is measured, and says why if that cannot be done.
func (c Case) Once() error {
	op, err := c.newOp()
	if err == nil {
		err = op()
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", c.What, c.Name(), err)
	}
	return nil
}

// Sample measures the case once, for the flag test.benchtime.
func (c Case) Sample() (Sample, error) {
	if err := c.Once(); err != nil { // a benchmark outside "go test" does not say why it failed
		return Sample{}, err
	}
	r := testing.Benchmark(c.Benchmark)
	if r.N == 0 {
		return Sample{}, fmt.Errorf("%s %s: %w", c.What, c.Name(), ErrBenchmark)
	}
	return Sample{
		CPU: r.Extra["cpu-ns/op"], Wall: float64(r.T.Nanoseconds()) / float64(r.N),
		Allocs: r.AllocsPerOp(), Bytes: r.AllocedBytesPerOp(),
	}, nil
}
