// Package schedule runs jobs at nominal times, each once, however many nodes there are and however often they restart.
//
// Every node runs robfig/cron in Asia/Shanghai. What decides who works is one row per (job, nominal time): whoever
// inserts it runs the job. There is no leader, no lock server, and clocks need to agree to a minute only. The rows are
// the job's own record; on start the last nominal time that nobody ran, or that a node died in, is made up for as long
// as the job's window allows.
package schedule

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"lianxin/storage"
)

// Job is something to do at nominal times.
type Job struct {
	Name string // stable: it is the key of the job's rows
	Spec string // five cron fields in the scheduler's zone, such as "30 9 * * *"
	// Window is how long after its nominal time a missed run is still made up; 0 means never.
	Window time.Duration
	// Run does the work for a nominal time. It must be idempotent: after a crash in the middle it is called again with
	// the same time.
	Run func(ctx context.Context, at time.Time) error
}

// Scheduler runs jobs. Set the fields before the first Add.
type Scheduler struct {
	DB   *storage.DB
	Zone *time.Location
	Log  *slog.Logger
	Now  func() time.Time // the clock by which missed runs are found; time.Now by default
	Node string           // names this process in the rows

	// Dead is how long a run's node may be silent before another takes the run over; one minute by default.
	Dead time.Duration

	jobs []entry
	wg   sync.WaitGroup
}

type entry struct {
	Job
	plan cron.Schedule
}

// New makes a scheduler for this process.
func New(db *storage.DB, zone *time.Location, log *slog.Logger) *Scheduler {
	return &Scheduler{DB: db, Zone: zone, Log: log, Now: time.Now, Node: storage.NewID(), Dead: time.Minute}
}

// Add registers a job; a spec that cannot be read is an error that names the job.
func (s *Scheduler) Add(j Job) error {
	plan, err := cron.ParseStandard(j.Spec)
	if err != nil {
		return fmt.Errorf("schedule %s: %w", j.Name, err)
	}
	s.jobs = append(s.jobs, entry{j, plan})
	return nil
}

// Run makes up what was missed, runs jobs as they fall due until ctx ends, and returns when the runs under way have.
func (s *Scheduler) Run(ctx context.Context) error {
	c := cron.New(cron.WithLocation(s.Zone))
	for _, j := range s.jobs {
		if _, err := c.AddFunc(j.Spec, func() { s.fire(ctx, j, s.nominal(j, s.Now())) }); err != nil {
			return fmt.Errorf("schedule %s: %w", j.Name, err)
		}
	}
	c.Start()
	// A run whose node died is only known to be dead after a silence, so look again now and then.
	look := time.NewTicker(s.Dead)
	defer look.Stop()
	for {
		s.CatchUp(ctx)
		select {
		case <-ctx.Done():
			<-c.Stop().Done()
			s.wg.Wait()
			return nil
		case <-look.C:
		}
	}
}

// CatchUp runs each job's last nominal time if it is still inside the job's window and nobody has finished it.
func (s *Scheduler) CatchUp(ctx context.Context) {
	for _, j := range s.jobs {
		now := s.Now()
		at := s.nominal(j, now)
		if at.IsZero() || now.Sub(at) > j.Window {
			continue
		}
		s.wg.Go(func() { s.fire(ctx, j, at) })
	}
}

// nominal is the job's latest nominal time that is not after now, looking back eight days; zero if there is none.
func (s *Scheduler) nominal(j entry, now time.Time) time.Time {
	now = now.In(s.Zone)
	for _, back := range []time.Duration{2 * time.Minute, 2 * time.Hour, 26 * time.Hour, 8 * 24 * time.Hour} {
		var last time.Time
		for t := j.plan.Next(now.Add(-back)); !t.IsZero() && !t.After(now); t = j.plan.Next(t) {
			last = t
		}
		if !last.IsZero() {
			return last
		}
	}
	return time.Time{}
}

// fire runs j for the nominal time at if this node wins the row.
func (s *Scheduler) fire(ctx context.Context, j entry, at time.Time) {
	if at.IsZero() || ctx.Err() != nil {
		return
	}
	won, err := s.claim(ctx, j.Name, at)
	if err != nil {
		s.Log.Error("schedule: claim", "job", j.Name, "at", at, "err", err)
		return
	}
	if !won {
		return
	}
	beat, stop := context.WithCancel(ctx)
	var alive sync.WaitGroup
	alive.Go(func() { s.beat(beat, j.Name, at) })
	err = run(ctx, j.Job, at)
	stop()
	alive.Wait()
	if err != nil && ctx.Err() != nil {
		// Stopped in the middle: the row stays unfinished and the next start takes it up at once.
		s.finish(j.Name, at, nil, true)
		return
	}
	if err != nil {
		s.Log.Error("schedule: job failed", "job", j.Name, "at", at, "err", err)
	}
	s.finish(j.Name, at, err, false)
}

func run(ctx context.Context, j Job, at time.Time) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return j.Run(ctx, at)
}

// claim inserts the row of (job, at), or takes over one whose run failed or whose node has died. A failed run is tried
// again at most twice.
func (s *Scheduler) claim(ctx context.Context, job string, at time.Time) (won bool, err error) {
	err = s.DB.Update(ctx, func(tx *storage.Tx) error {
		now := s.Now()
		n, err := tx.Exec(`INSERT INTO schedule_fire (job, at, node, started, beat) VALUES ($1, $2, $3, $4, $4) ON CONFLICT DO NOTHING`,
			job, at.UnixMilli(), s.Node, now.UnixMilli())
		if err != nil {
			return err
		}
		if n == 0 {
			n, err = tx.Exec(`UPDATE schedule_fire SET node = $3, started = $4, beat = $4, finished = NULL, error = '', attempt = attempt + 1
				WHERE job = $1 AND at = $2 AND ((finished IS NULL AND beat < $5) OR (error <> '' AND attempt < 3 AND finished < $5))`,
				job, at.UnixMilli(), s.Node, now.UnixMilli(), now.Add(-s.Dead).UnixMilli())
		}
		won = n == 1
		return err
	})
	return won, err
}

func (s *Scheduler) beat(ctx context.Context, job string, at time.Time) {
	t := time.NewTicker(s.Dead / 4)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		err := s.DB.Update(ctx, func(tx *storage.Tx) error {
			_, err := tx.Exec(`UPDATE schedule_fire SET beat = $3 WHERE job = $1 AND at = $2 AND node = $4`, job, at.UnixMilli(), s.Now().UnixMilli(), s.Node)
			return err
		})
		if err != nil && ctx.Err() == nil {
			s.Log.Error("schedule: beat", "job", job, "err", err)
		}
	}
}

// finish notes the end of a run, or, when given up, makes the row free for the next start.
func (s *Scheduler) finish(job string, at time.Time, failed error, givenUp bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := s.DB.Update(ctx, func(tx *storage.Tx) error {
		if givenUp {
			_, err := tx.Exec(`UPDATE schedule_fire SET beat = 0 WHERE job = $1 AND at = $2 AND node = $3`, job, at.UnixMilli(), s.Node)
			return err
		}
		text := ""
		if failed != nil {
			text = failed.Error()
		}
		_, err := tx.Exec(`UPDATE schedule_fire SET finished = $3, error = $4 WHERE job = $1 AND at = $2 AND node = $5`,
			job, at.UnixMilli(), s.Now().UnixMilli(), text, s.Node)
		return err
	})
	if err != nil {
		s.Log.Error("schedule: note the end of a run", "job", job, "at", at, "err", err)
	}
}

// Fire is one run as it stands in the record.
type Fire struct {
	Job      string
	At       time.Time // nominal
	Started  time.Time
	Finished time.Time // zero while it runs, or after its node died
	Error    string
	Attempt  int
}

// Last returns the latest runs of a job, newest first.
func Last(tx *storage.Tx, job string, limit int) ([]Fire, error) {
	return storage.All(tx, func(r storage.Row) (f Fire, err error) {
		var at, started, finished storage.Time
		err = r.Scan(&f.Job, &at, &started, &finished, &f.Error, &f.Attempt)
		f.At, f.Started, f.Finished = at.Time, started.Time, finished.Time
		return f, err
	}, `SELECT job, at, started, finished, error, attempt FROM schedule_fire WHERE job = $1 ORDER BY at DESC LIMIT $2`, job, limit)
}
