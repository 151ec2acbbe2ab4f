package report

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"lianxin/audit"
	"lianxin/storage"
	"lianxin/workday"
)

// Settings are what a city sets about its figures, in force from a day on.
type Settings struct {
	Version     string              `yaml:"version"`
	Effective   workday.Day         `yaml:"effective"`
	Author      string              `yaml:"author"`
	Weight      float64             `yaml:"weight"`       // of 基本满意 in a satisfaction rate: 1, 0.5 or 0
	RepeatDays  int                 `yaml:"repeat_days"`  // after an answer in which the same matter is a repeat
	SettledDays int                 `yaml:"settled_days"` // without a repeat that make a first solution
	Small       int                 `yaml:"small"`        // shares of fewer are neither compared nor ranked
	Baselines   map[string]Baseline `yaml:"baselines"`    // by metric, frozen

	// Score is the composite score of units in editions; what ships when empty. Left out where empty, so that the sums of
	// versions that were noted before it was there still hold.
	Score []Score `yaml:"score,omitempty"`
}

// Baseline is a value that was published once, with what is known of it.
type Baseline struct {
	Value  float64 `yaml:"value"`
	Label  string  `yaml:"label"`
	Source string  `yaml:"source"`
}

//go:embed metrics.yaml
var shipped []byte

// Shipped are the settings that come with the program.
func Shipped() []Settings {
	s, err := ReadSettings(shipped)
	if err != nil {
		panic("report: the shipped metrics.yaml: " + err.Error()) // a test reads it
	}
	return s
}

// ReadSettings reads a metrics.yaml: versions in the order in which they come into force. Errors name the line or the version.
func ReadSettings(b []byte) ([]Settings, error) {
	var file struct {
		Versions []Settings `yaml:"versions"`
	}
	d := yaml.NewDecoder(strings.NewReader(string(b)))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		return nil, fmt.Errorf("read metric settings: %w", err)
	}
	if len(file.Versions) == 0 {
		return nil, errors.New("read metric settings: no version")
	}
	for i, s := range file.Versions {
		bad := func(what string) error {
			return fmt.Errorf("read metric settings: version %d (%s): %s", i+1, s.Version, what)
		}
		switch {
		case s.Version == "" || s.Author == "" || s.Effective.IsZero():
			return nil, bad("version, effective and author must be given")
		case s.Weight < 0 || s.Weight > 1:
			return nil, bad("weight must be from 0 to 1")
		case s.RepeatDays <= 0 || s.SettledDays <= 0 || s.Small <= 0:
			return nil, bad("repeat_days, settled_days and small must be more than nothing")
		case i > 0 && s.Effective <= file.Versions[i-1].Effective:
			return nil, bad("effective must be later than that of the version before")
		}
		for _, x := range s.Score {
			if m, ok := Find(x.Metric); !ok || m.Kind != Share && m.Kind != Satisfaction || m.Persons || x.Weight <= 0 {
				return nil, bad("score: " + x.Metric + " is no rate of tickets, or its weight is not above 0")
			}
		}
		for id, b := range s.Baselines {
			if m, ok := Find(id); !ok || m.Kind == Duration {
				return nil, bad("no metric " + id + " to have a baseline")
			}
			if b.Label == "" || b.Source == "" {
				return nil, bad("the baseline of " + id + " must have a label and a source")
			}
		}
		if slices.ContainsFunc(file.Versions[:i], func(o Settings) bool { return o.Version == s.Version }) {
			return nil, bad("the version is there twice")
		}
	}
	return file.Versions, nil
}

// at is the version in force at the end of a period; before the first, the first.
func (o *Office) at(p Period) Settings {
	all := o.Settings
	if len(all) == 0 {
		all = Shipped()
	}
	s := all[0]
	for _, x := range all[1:] {
		if x.Effective <= p.Last() {
			s = x
		}
	}
	return s
}

// At is the version of the settings in force at the end of a period.
func (o *Office) At(p Period) Settings { return o.at(p) }

// Note writes versions that the log does not know yet into it, whole, so that what a figure was counted under can be read
// there for ever. A version that was changed after it was noted is an error: changes take a new version.
func (o *Office) Note(tx *storage.Tx, now time.Time) error {
	known := map[string]string{}
	events, err := audit.Stream(tx, "report/settings")
	if err != nil {
		return fmt.Errorf("note metric settings: %w", err)
	}
	for _, e := range events {
		known[e.Rule] = string(e.Payload)
	}
	all := o.Settings
	if len(all) == 0 {
		all = Shipped()
	}
	for _, s := range all {
		text, err := yaml.Marshal(s)
		if err != nil {
			return err
		}
		if had, ok := known[s.Version]; ok {
			if !strings.Contains(had, digest(text)) {
				return fmt.Errorf("metric settings: version %s was changed after it came into force; give the change a version of its own", s.Version)
			}
			continue
		}
		if _, err := audit.Append(tx, audit.Entry{Stream: "report/settings", Type: "report.settings", Actor: "system", At: now, Rule: s.Version,
			Payload: map[string]string{"body": string(text), "sum": digest(text), "author": s.Author}}); err != nil {
			return fmt.Errorf("note metric settings: %w", err)
		}
	}
	return nil
}
