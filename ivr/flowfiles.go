package ivr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"lianxin/ivr/flow"
	"lianxin/storage"
)

// FlowFiles puts the flow and queue files of a folder in force, and others when they change. A file that is broken is refused with its
// mistakes, and what was in force goes on: calls that are up keep the flow under which they began in any case.
type FlowFiles struct {
	Hotline *Hotline
	DB      *storage.DB
	Dir     string // --flows; empty: the files that ship with the program
	Log     *slog.Logger
	Changed func() // is told after a reload; may be nil

	mu    sync.Mutex
	state FlowState
	print string // of the files that were tried last
}

// FlowState is what is in force, and what was refused.
type FlowState struct {
	Flow     *flow.Flow
	Queues   *Queues
	Dir      string
	Loaded   time.Time      // when it came into force
	Tried    time.Time      // last attempt
	Problems []flow.Problem // why the last attempt was refused; none when it was not
	Refused  string         // as Problems, where the reason has no line
}

// Begin notes what the hotline was opened with.
func (ff *FlowFiles) Begin(ctx context.Context, by string) error {
	ff.mu.Lock()
	defer ff.mu.Unlock()
	now := ff.Hotline.now()
	ff.print = ff.fingerprint()
	ff.state = FlowState{Flow: ff.Hotline.Flow(), Queues: ff.Hotline.Queues(), Dir: ff.Dir, Loaded: now, Tried: now}
	return ff.remember(ctx, by)
}

// State is what is in force, and what was refused.
func (ff *FlowFiles) State() FlowState {
	ff.mu.Lock()
	defer ff.mu.Unlock()
	return ff.state
}

// Reload reads the files and puts them in force together. The error is a flow.Problems where files are broken; the old ones are in force
// then.
func (ff *FlowFiles) Reload(ctx context.Context, by string) error {
	ff.mu.Lock()
	defer ff.mu.Unlock()
	ff.print = ff.fingerprint()
	ff.state.Tried = ff.Hotline.now()
	f, q, err := LoadFlows(ff.Dir)
	if err == nil {
		err = ff.Hotline.Put(ctx, f, q)
	}
	if err != nil {
		var ps flow.Problems
		errors.As(err, &ps)
		ff.state.Problems, ff.state.Refused = ps, ""
		if len(ps) == 0 {
			ff.state.Refused = err.Error()
		}
		ff.Log.Error("ivr: flow files were refused; the old ones go on", "version", ff.state.Flow.Version, "err", err)
		ff.tell()
		return err
	}
	was := ff.state.Flow.Version
	ff.state.Flow, ff.state.Queues, ff.state.Problems, ff.state.Refused = f, q, nil, ""
	ff.state.Loaded = ff.state.Tried
	ff.Log.Info("ivr: flow files are in force", "flow", f.Name, "version", f.Version, "was", was, "by", by)
	ff.tell()
	return ff.remember(ctx, by)
}

func (ff *FlowFiles) tell() {
	if ff.Changed != nil {
		ff.Changed()
	}
}

// Watch reloads the files when one of them has changed and, at once, when now delivers; until ctx ends. A file that is being written is
// taken when it has not changed for one look.
func (ff *FlowFiles) Watch(ctx context.Context, every time.Duration, now <-chan os.Signal) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	last := ff.look()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-now:
			_ = ff.Reload(ctx, "signal") // logged, and shown by State
			last = ff.look()
		case <-tick.C:
			seen := ff.look()
			ff.mu.Lock()
			fresh := seen != ff.print
			ff.mu.Unlock()
			if fresh && seen == last {
				_ = ff.Reload(ctx, "file")
			}
			last = seen
		}
	}
}

func (ff *FlowFiles) look() string { return ff.fingerprint() }

// fingerprint changes when a file of the folder does.
func (ff *FlowFiles) fingerprint() string {
	if ff.Dir == "" {
		return ""
	}
	names, err := filepath.Glob(filepath.Join(ff.Dir, "*.yaml"))
	if err != nil {
		return ""
	}
	var b strings.Builder
	for _, name := range names {
		if info, err := os.Stat(name); err == nil {
			fmt.Fprintf(&b, "%s %d %d\n", filepath.Base(name), info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}

// LoadFlows reads the hotline's flow, those that it calls, and the queues. All mistakes of all files are told at once.
func LoadFlows(dir string) (*flow.Flow, *Queues, error) {
	f, errF := LoadFlow(dir, "hotline")
	q, errQ := LoadQueues(dir)
	var all, ps flow.Problems
	for _, err := range []error{errF, errQ} {
		switch {
		case errors.As(err, &ps):
			all = append(all, ps...)
		case err != nil:
			return nil, nil, err
		}
	}
	if len(all) > 0 {
		return nil, nil, all
	}
	return f, q, nil
}

// remember keeps the files of the version in force: a call's record names the version that led it, and here is what that was.
func (ff *FlowFiles) remember(ctx context.Context, by string) error {
	f := ff.state.Flow
	files, err := json.Marshal(f.Files())
	if err != nil {
		return fmt.Errorf("keep a flow: %w", err)
	}
	err = ff.Hotline.update(ctx, func(tx *storage.Tx) error {
		_, err := tx.Exec(`INSERT INTO flow_version (version, name, files, loaded, by_actor) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (version) DO NOTHING`,
			f.Version, f.Name, string(files), storage.At(ff.state.Loaded), by)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep a flow: %w", err)
	}
	return nil
}

// FlowVersion is a version of the flows that was in force.
type FlowVersion struct {
	Version string
	Name    string
	Loaded  time.Time // first
	By      string
	Calls   int               // led under it
	Files   map[string]string // by name; only from GetFlowVersion
}

// FlowVersions lists the versions that were in force, the latest first.
func FlowVersions(tx *storage.Tx) ([]FlowVersion, error) {
	return storage.All(tx, func(r storage.Row) (v FlowVersion, err error) {
		var at storage.Time
		err = r.Scan(&v.Version, &v.Name, &at, &v.By, &v.Calls)
		v.Loaded = at.Time
		return v, err
	}, `SELECT version, name, loaded, by_actor, (SELECT COUNT(*) FROM call WHERE call.flow_version = flow_version.version)
		FROM flow_version ORDER BY loaded DESC, version LIMIT 100`)
}

// GetFlowVersion reads one version with its files, or storage.ErrNotFound.
func GetFlowVersion(tx *storage.Tx, version string) (FlowVersion, error) {
	v, err := storage.One(tx, func(r storage.Row) (v FlowVersion, err error) {
		var at storage.Time
		var files string
		if err = r.Scan(&v.Version, &v.Name, &at, &v.By, &files); err != nil {
			return v, err
		}
		v.Loaded = at.Time
		return v, json.Unmarshal([]byte(files), &v.Files)
	}, `SELECT version, name, loaded, by_actor, files FROM flow_version WHERE version = $1`, version)
	if err != nil {
		return v, fmt.Errorf("flow version %s: %w", version, err)
	}
	return v, nil
}
