package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	_ "github.com/go-sql-driver/mysql" // the drivers of database/sql through which views of other systems are read
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/microsoft/go-mssqldb"
	_ "github.com/sijms/go-ora/v2"

	"lianxin/schedule"
	"lianxin/survey"
	"lianxin/workday"
)

// viewSettings is one view of another system that service records are read from. It holds a password, so it stands in the
// configuration file only, under the key "record-views".
type viewSettings struct {
	Name   string `yaml:"name"`
	Driver string `yaml:"driver"` // postgres, mysql, sqlserver or oracle
	DSN    string `yaml:"dsn"`    // in the driver's own form
	Query  string `yaml:"query"`  // two placeholders of the driver's kind: from and to, "2026-11-22 00:00:00", to excluded
	Class  string `yaml:"class"`  // of the rows that name none
	Days   int    `yaml:"days"`   // read again each time, for what was entered late; 3 when 0
	At     string `yaml:"at"`     // five cron fields; 07:30 each day when empty
}

// viewDrivers are the names of the settings and of the drivers.
var viewDrivers = map[string]string{"postgres": "pgx", "mysql": "mysql", "sqlserver": "sqlserver", "oracle": "oracle"}

func (v viewSettings) check() error {
	switch {
	case v.Name == "":
		return errors.New("a view needs a name")
	case viewDrivers[v.Driver] == "":
		return fmt.Errorf("view %s: driver %q: want postgres, mysql, sqlserver or oracle", v.Name, v.Driver)
	case v.DSN == "" || v.Query == "":
		return fmt.Errorf("view %s needs dsn and query", v.Name)
	}
	if err := v.checkDialect(); err != nil {
		return fmt.Errorf("view %s (%s): %w", v.Name, v.Driver, err)
	}
	return nil
}

// readViews reads the views' part of the configuration file; a key that is not known is an error.
func readViews(f *configFile) (views []viewSettings, err error) {
	if err := f.part("record-views", &views); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for i, v := range views {
		err := v.check()
		if err == nil && names[v.Name] {
			err = fmt.Errorf("two views %q", v.Name)
		}
		if err != nil {
			return nil, f.at(fmt.Sprint("record-views.", i), fmt.Errorf("record-views: %w", err))
		}
		names[v.Name] = true
	}
	return views, nil
}

// open connects to the source system when it is first read; at most two connections, closed when idle.
func (v viewSettings) open(s *survey.Survey) (*survey.View, error) {
	db, err := sql.Open(viewDrivers[v.Driver], v.DSN)
	if err != nil {
		return nil, fmt.Errorf("view %s: %w", v.Name, err)
	}
	db.SetMaxOpenConns(2)
	db.SetConnMaxIdleTime(time.Minute)
	return &survey.View{Survey: s, Name: v.Name, DB: db, Query: v.Query, Class: v.Class, Days: v.Days}, nil
}

// addViews has the views read each morning.
func (c *centre) addViews(s *schedule.Scheduler) error {
	for _, v := range c.cfg.Views {
		view, err := v.open(c.survey)
		if err != nil {
			return err
		}
		at := v.At
		if at == "" {
			at = "30 7 * * *"
		}
		if err := s.Add(view.Job(at)); err != nil {
			return fmt.Errorf("view %s: %w", v.Name, err)
		}
	}
	return nil
}

type recordsPullCmd struct {
	Name string      `arg:"" optional:"" help:"Name of the view in the configuration file; all of them when left out."`
	Day  workday.Day `help:"Last day of the services, YYYY-MM-DD; yesterday when left out."`
}

// Run reads the configured views by hand, as their jobs do, and prints what came of each.
func (r *recordsPullCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	c, err := openRooms(ctx, cfg, newLogger(m.Err, cfg))
	if err != nil {
		return err
	}
	defer c.db.Close()
	if r.Day.IsZero() {
		r.Day = workday.DayOf(time.Now()).Add(-1)
	}
	views := cfg.Views
	if r.Name != "" {
		views = slices.DeleteFunc(slices.Clone(views), func(v viewSettings) bool { return v.Name != r.Name })
	}
	if len(views) == 0 {
		return fmt.Errorf("no view %q in the configuration file (key record-views)", r.Name)
	}
	for _, v := range views {
		view, err := v.open(c.survey)
		if err != nil {
			return err
		}
		sum, err := view.Read(ctx, r.Day)
		view.DB.Close()
		if err != nil {
			return err
		}
		fmt.Fprintf(m.Out, "%s: %d rows = %d accepted + %d known + %d corrected + %d refused; %d with a reservation\n",
			v.Name, sum.Lines, sum.Accepted, sum.Known, sum.Corrected, sum.Refused, sum.Odd)
	}
	return nil
}
