package media

import (
	"slices"
	"testing"
)

// Nobody can tell from one call's port which one the next will have.
func TestPortsAreDrawnAtRandom(t *testing.T) {
	t.Parallel()
	draw := func() (ports []int) {
		p, err := newPortPool(20000, 20999)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			f, ok := p.take()
			if !ok || slices.Contains(ports, f.port) {
				t.Fatalf("port %d twice or none", f.port)
			}
			ports = append(ports, f.port)
		}
		return ports
	}
	if a, b := draw(), draw(); slices.Equal(a, b) || slices.IsSorted(a) {
		t.Errorf("%v and %v", a, b)
	}
}
