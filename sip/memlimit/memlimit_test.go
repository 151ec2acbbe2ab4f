package memlimit

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
)

func TestStrictestControlGroupDecides(t *testing.T) {
	const info = "MemTotal:        4000000 kB\nMemFree:          100000 kB\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
		from  string
	}{
		"machine alone":           {map[string]string{"proc/meminfo": info}, 4000000 << 10, "the machine"},
		"nothing known":           {nil, 0, "the machine"},
		"version 2, unlimited":    {map[string]string{"proc/meminfo": info, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"}, 4000000 << 10, "the machine"},
		"version 2, group above":  {map[string]string{"proc/meminfo": info, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "900000000\n", "sys/fs/cgroup/a/b/memory.max": "max\n"}, 900000000, "the control group"},
		"version 2, container":    {map[string]string{"proc/meminfo": info, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "700000000\n"}, 700000000, "the control group"},
		"version 1":               {map[string]string{"proc/meminfo": info, "proc/self/cgroup": "5:cpu:/x\n4:memory:/docker/1\n", "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": "800000000\n"}, 800000000, "the control group"},
		"version 1, no limit set": {map[string]string{"proc/meminfo": info, "proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 4000000 << 10, "the machine"},
		"more than the machine":   {map[string]string{"proc/meminfo": info, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "90000000000\n"}, 4000000 << 10, "the machine"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for path, text := range c.files {
				path = filepath.Join(root, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if n, from := Available(root); n != c.want || from != c.from {
				t.Errorf("%d by %s, want %d by %s", n, from, c.want, c.from)
			}
		})
	}
}

func TestSizesAreReadAndNonsenseRefused(t *testing.T) {
	for s, want := range map[string]int64{"900MB": 900e6, "2GiB": 2 << 30, "1.5 gb": 1.5e9, "100000000": 1e8, "65536kib": 64 << 20} {
		if n, err := Size(s); err != nil || n != want {
			t.Errorf("%s: %d, %v", s, n, err)
		}
	}
	for _, s := range []string{"", "much", "-1GB", "10MB", "5TB!", "GB", "1e30GB", "NaN", "2 2GB"} {
		if n, err := Size(s); err == nil {
			t.Errorf("%q is %d", s, n)
		}
	}
}

func TestLimitIsPutIntoForce(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "")
	t.Setenv("GOGC", "")
	wasLimit, wasPercent := debug.SetMemoryLimit(-1), debug.SetGCPercent(100)
	defer func() { debug.SetMemoryLimit(wasLimit); debug.SetGCPercent(wasPercent) }()
	n, from, err := Set("3GB", 60)
	if err != nil || n != 3e9 || from != "the configuration" || debug.SetMemoryLimit(-1) != 3e9 {
		t.Errorf("%d by %s (%v), in force %d", n, from, err, debug.SetMemoryLimit(-1))
	}
	if p := debug.SetGCPercent(60); p != 60 {
		t.Errorf("GC percent %d", p)
	}
	all, _ := Available("/")
	if n, _, err = Set("auto", 60); err != nil || all == 0 || n != int64(Share*float64(all)) || debug.SetMemoryLimit(-1) != n {
		t.Errorf("auto: %d of %d (%v)", n, all, err)
	}
	if _, _, err = Set("plenty", 60); err == nil || debug.SetMemoryLimit(-1) != n {
		t.Errorf("nonsense changed the limit (%v)", err)
	}
}
