package media

import (
	"testing"
	"time"
)

func TestLatenessQuantilesAreUpperBounds(t *testing.T) {
	var h histogram
	for i := range 1000 {
		h.add(5, time.Duration(i)*10*time.Microsecond)
	}
	h.add(5, 3*time.Second)
	var total [histBuckets]uint64
	h.sum(&total, 0)
	l := summarise(&total)
	near := func(got, want time.Duration) bool { return got >= want && got <= want*9/8+time.Microsecond }
	if l.Slots != 1001 || !near(l.P50, 5*time.Millisecond) || !near(l.P99, 9900*time.Microsecond) || !near(l.Max, 3*time.Second) {
		t.Errorf("%+v", l)
	}
	h.add(15, 0) // ten seconds later the same cell is new
	total = [histBuckets]uint64{}
	h.sum(&total, 5)
	if l := summarise(&total); l.Slots != 1 {
		t.Errorf("%+v", l)
	}
	for us := range 1 << 20 {
		d := time.Duration(us) * time.Microsecond
		if up := lateUpTo(bucketOf(d)); up < d || float64(up) > float64(d)*1.13+2000 {
			t.Fatalf("%v falls into a bucket up to %v", d, up)
		}
	}
}

func TestMOSFallsWithLossAndDelay(t *testing.T) {
	if m := mos(50*time.Millisecond, 0); m < 4.3 || m > 4.5 {
		t.Errorf("a clean call has %.2f", m)
	}
	last := 5.0
	for _, loss := range []float64{0, 0.01, 0.03, 0.1, 0.3, 1} {
		m := mos(50*time.Millisecond, loss)
		if m >= last && m > 1 {
			t.Errorf("%.2f at a loss of %.0f %%, %.2f before", m, 100*loss, last)
		}
		last = m
	}
	if last > 1.2 {
		t.Errorf("%.2f when nothing comes through", last)
	}
	if mos(400*time.Millisecond, 0) > mos(100*time.Millisecond, 0)-0.3 {
		t.Error("delay hardly counts")
	}
}
