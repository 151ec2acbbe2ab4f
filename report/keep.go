package report

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/schedule"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// Flaw is an edition that is not what the log says of it.
type Flaw struct{ Edition, Why string }

func (f Flaw) String() string { return f.Edition + ": " + f.Why }

// VerifyEditions holds every edition against its events: what is published is in the table, with the content whose sum the log
// has had since; and nothing is published in the table that the log does not know. It says how many published ones it saw.
func VerifyEditions(tx *storage.Tx) (flaws []Flaw, published int, err error) {
	type row struct {
		id, series, state, content, sum string
		version                         int
		cut                             int64
	}
	rows, err := storage.All(tx, func(r storage.Row) (x row, err error) {
		return x, r.Scan(&x.id, &x.series, &x.state, &x.content, &x.sum, &x.version, &x.cut)
	}, `SELECT id, series, state, content, sum, version, cut_off FROM report_edition ORDER BY series, version`)
	if err != nil {
		return nil, 0, fmt.Errorf("verify editions: %w", err)
	}
	there := map[string]bool{}
	for _, x := range rows {
		there[x.id] = true
		name := fmt.Sprintf("%s 第%d版", x.series, x.version)
		events, err := audit.Stream(tx, EditionStream(x.id))
		if err != nil {
			return nil, 0, err
		}
		var last, printed *editionFact
		for _, e := range events {
			if e.Type == "edition.acknowledged" || e.Type == "edition.exported" {
				continue
			}
			var f editionFact
			if err := json.Unmarshal(e.Payload, &f); err != nil {
				flaws = append(flaws, Flaw{name, "事件无法读取：" + err.Error()})
				continue
			}
			if printed != nil {
				flaws = append(flaws, Flaw{name, "发布之后又有变更事件 " + e.Type})
			}
			if last = &f; e.Type == "edition.published" {
				printed = last
			}
		}
		sum := digest([]byte(x.content))
		switch {
		case last == nil:
			flaws = append(flaws, Flaw{name, "日志中没有这份报告"})
			continue
		case sum != x.sum || sum != last.Sum:
			flaws = append(flaws, Flaw{name, "内容与日志中的校验值不符"})
		case x.state != string(last.State) || x.series != last.Series || x.version != last.Version || x.cut != last.CutOff:
			flaws = append(flaws, Flaw{name, "状态、编号、版本或统计截止时间与日志不符"})
		}
		if x.state == string(Published) {
			published++
		}
	}
	// Editions that the log has published and the table has lost.
	gone, err := storage.All(tx, storage.Value[string], `SELECT stream FROM audit_event WHERE type = 'edition.published'`)
	if err != nil {
		return nil, 0, fmt.Errorf("verify editions: %w", err)
	}
	for _, s := range gone {
		if id := strings.TrimPrefix(s, EditionStream("")); !there[id] {
			flaws = append(flaws, Flaw{id, "日志中已发布，但报告不在库中"})
		}
	}
	return flaws, published, nil
}

// Job drafts the edition of the period that ended before its nominal time, unless there is one. Persons review and publish it.
func (o *Office) Job(db *storage.DB, k EditionKind, spec string, log *slog.Logger) schedule.Job {
	return schedule.Job{Name: "report-" + string(k), Spec: spec, Window: 26 * time.Hour, Run: func(ctx context.Context, at time.Time) error {
		ended := k.Period(workday.DayOf(at)).First().Add(-1)
		// As it stood when the period ended: a run that is made up for hours later says the same.
		e, err := o.DraftPast(ctx, db, Drafting{Kind: k, Day: ended}, ticket.System)
		if r, refused := ticket.RefusedWith(err); refused && r.Code == "known" {
			return nil
		}
		if err != nil {
			return fmt.Errorf("draft the %s report of %s: %w", k, ended, err)
		}
		log.Info("report drafted", "kind", k, "series", e.Series)
		return nil
	}}
}
