// Package memlimit keeps the garbage of a process within the memory that it has.
//
// Go lets the heap grow to a multiple of what is alive before it collects. An exchange that remembers half a minute of ended calls would
// so take twice its need, or, in a container, be killed for garbage. With a soft limit the collector works the harder the nearer the
// process comes to it, and what is alive decides alone.
package memlimit

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// Share is the part of the memory of the machine or its control group that is ours by default: databases and the kernel's buffers need
// the rest.
const Share = 0.6

// Set puts the soft limit and the growth of the heap into force. limit is "auto" (Share of what there is), "off", or a size such as
// "900MB" or "2GiB"; gcPercent is how much garbage, in percent of what is alive, may collect before it is removed (GOGC). The variables
// GOMEMLIMIT and GOGC of the environment come first. It returns the limit in bytes, 0 for none, and where it comes from.
func Set(limit string, gcPercent int) (bytes int64, from string, err error) {
	if os.Getenv("GOGC") == "" && gcPercent > 0 {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		if n := debug.SetMemoryLimit(-1); n < math.MaxInt64 {
			return n, "GOMEMLIMIT", nil
		}
		return 0, "GOMEMLIMIT", nil
	}
	switch strings.ToLower(limit) {
	case "off":
		return 0, "the configuration", nil
	case "auto", "":
		all, where := Available("/")
		if all == 0 {
			return 0, where, nil
		}
		bytes, from = int64(Share*float64(all)), where
	default:
		if bytes, err = Size(limit); err != nil {
			return 0, "", err
		}
		from = "the configuration"
	}
	debug.SetMemoryLimit(bytes)
	return bytes, from, nil
}

// least is a limit below which the program would do nothing but collect.
const least = 64 << 20

// Size reads a size: a number with B, KB, MB, GB (powers of 1000) or KiB, MiB, GiB (powers of 1024).
func Size(s string) (int64, error) {
	t := strings.TrimSpace(s)
	number := strings.TrimRight(t, "bBiIkKmMgG ")
	unit := map[string]float64{"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}[strings.ToLower(strings.TrimSpace(t[len(number):]))]
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || unit == 0 || !(n >= 0 && n*unit <= 1<<50) {
		return 0, fmt.Errorf("memory limit %q: want auto, off or a size such as 900MB or 2GiB", s)
	}
	if n*unit < least {
		return 0, fmt.Errorf("memory limit %q: less than %d MiB would leave time for nothing but collecting garbage", s, least>>20)
	}
	return int64(n * unit), nil
}

// Available is the memory in bytes that this process may use, 0 when unknown, and what says so: the strictest control group (version 2
// or 1) or the machine. root is / but in tests.
func Available(root string) (bytes int64, from string) {
	bytes, from = machine(filepath.Join(root, "proc/meminfo")), "the machine"
	b, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return bytes, from
	}
	for line := range strings.Lines(string(b)) { // 0::/system.slice/lianxin.service, or 4:memory:/docker/…
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		base, file := "sys/fs/cgroup", "memory.max"
		switch {
		case parts[0] == "0" && parts[1] == "":
		case strings.Contains(","+parts[1]+",", ",memory,"):
			base, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for group := filepath.Clean("/" + parts[2]); ; group = filepath.Dir(group) { // a group is bound by those above it, too
			if n := number(filepath.Join(root, base, group, file)); n > 0 && (bytes == 0 || n < bytes) {
				bytes, from = n, "the control group"
			}
			if group == "/" {
				break
			}
		}
	}
	return bytes, from
}

// number reads a file that holds one, 0 for none ("max").
func number(path string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func machine(path string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		var kib int64
		if n, _ := fmt.Sscanf(s.Text(), "MemTotal: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}
