package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/survey/poll"
	"lianxin/table"
	"lianxin/ticket"
	"lianxin/workday"
)

// pollRoutes are polls: drafted by one, opened by another, answered by invited people, and read when they are over (I20).
func (s *Server) pollRoutes(mux *http.ServeMux) {
	if s.Polls == nil {
		return
	}
	mux.HandleFunc("GET /polls", s.may(org.ViewPolls, s.pollList))
	mux.HandleFunc("POST /polls", s.may(org.RunPolls, s.makePoll))
	mux.HandleFunc("GET /polls/{id}", s.may(org.ViewPolls, s.pollPage))
	mux.HandleFunc("GET /polls/{id}/export", s.may(org.ViewPolls, s.pollExport))
	mux.HandleFunc("POST /polls/{id}/act/{action}", s.may(org.RunPolls, s.actOnPoll))
}

// publicPollRoutes are what an invited person sees.
func (s *Server) publicPollRoutes(mux *http.ServeMux) {
	if s.Polls == nil {
		return
	}
	mux.HandleFunc("GET /p/poll/{token}", s.publicPollForm)
	mux.HandleFunc("POST /p/poll/{token}", s.publicPollTake)
}

func (s *Server) pollAPI(api huma.API) {
	if s.Polls == nil {
		return
	}
	huma.Get(api, "/api/v1/polls", s.apiPolls, named("list-polls", "Polls, the newest first"))
	huma.Get(api, "/api/v1/polls/{id}", s.apiPoll, named("get-poll", "One poll with its questions, and once it is over what they came to"))
}

type pollListView struct {
	Rows        []poll.Poll
	Total       int
	Page, Pages int
	May         bool
	Error       string
	Typed       poll.Making
	Example     string
}

const pollExample = "【五级】您对所在社区的治安状况满意吗？\n【单选】最近一年您是否到公安窗口办过业务？\n- 是\n- 否\n【多选】您最希望加强哪些工作？\n- 反诈宣传\n- 夜间巡逻\n- 交通秩序\n【文字】您的意见建议（请勿填写姓名、电话）"

func (s *Server) pollList(w http.ResponseWriter, r *http.Request, u *user) {
	s.showPolls(w, r, u, http.StatusOK, func(*pollListView) {})
}

func (s *Server) showPolls(w http.ResponseWriter, r *http.Request, u *user, status int, more func(*pollListView)) {
	v := pollListView{Page: pageOf(r.URL.Query().Get("page")), May: u.Can(org.RunPolls), Typed: poll.Making{Smallest: poll.DefaultK, Questions: pollExample}}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		v.Rows, v.Total, err = s.Polls.List(tx, ticket.Staff(u.Staff), perPage, (v.Page-1)*perPage)
		return err
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v.Pages = max(1, (v.Total+perPage-1)/perPage)
	more(&v)
	s.render(w, r, status, "polls", "", "polls", v)
}

func makingOf(in input) poll.Making {
	return poll.Making{Title: in.text("title"), Intro: in.text("intro"), Questions: in.text("questions"), Smallest: in.number("smallest"), Named: in.on("named")}
}

func (s *Server) makePoll(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	m := makingOf(in)
	var p poll.Poll
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) { p, err = s.Polls.Make(tx, m, ticket.Staff(u.Staff)); return err })
	refusal, refused := ticket.RefusedWith(err)
	switch {
	case refused:
		s.showPolls(w, r, u, statusOf(refusal), func(v *pollListView) { v.Error, v.Typed = refusal.Message, m })
	case err != nil:
		s.fail(w, r, err)
	default:
		s.done(w, r, "/polls/"+p.ID, translate(s.lang(r), "poll-made"))
	}
}

type pollView struct {
	poll.Poll
	Author, Opener   string
	Results          []poll.Result
	Typed            poll.Making
	May, MayStart    bool
	Last             string // proposed last day
	Error, People    string
	Days             int
	HeldBack, Linked bool // too few answers; links can be sent
	Waits            bool // takes no more answers, and for a node with its key
}

// Percent is a share as a width.
func (v pollView) Percent(share float64) string { return fmt.Sprintf("%.1f", 100*share) }

// Rate is how many of the invited have answered.
func (v pollView) Rate() string {
	if v.Invited == 0 {
		return "—"
	}
	return fmt.Sprintf("%.1f%%", 100*float64(v.Answered)/float64(v.Invited))
}

func (s *Server) readPoll(tx *storage.Tx, id, lang string, u *user) (v pollView, err error) {
	if v.Poll, err = s.Polls.Get(tx, id, ticket.Staff(u.Staff)); err != nil {
		return v, err
	}
	n, err := readNames(tx, lang)
	if err != nil {
		return v, err
	}
	v.Author, v.Opener = n.Who(v.Poll.Author), n.Who(v.Poll.Opener)
	v.Typed = poll.Making{Title: v.Title, Intro: v.Intro, Questions: poll.WriteQuestions(v.Questions), Smallest: v.Smallest, Named: v.Named}
	v.Waits = v.Ending(s.Now())
	v.May, v.Last, v.Days, v.Linked = u.Can(org.RunPolls), workday.DayOf(s.Now()).Add(14).String(), 90, s.Polls.PublicURL != ""
	v.MayStart = v.May && v.State == poll.Draft && v.Poll.Author != u.Actor()
	v.HeldBack = v.State == poll.Closed && v.Kept == 0
	v.Results, err = s.Polls.Results(tx, v.Poll, ticket.Staff(u.Staff))
	return v, err
}

func (s *Server) pollPage(w http.ResponseWriter, r *http.Request, u *user) {
	s.showPoll(w, r, u, http.StatusOK, func(*pollView) {})
}

func (s *Server) showPoll(w http.ResponseWriter, r *http.Request, u *user, status int, more func(*pollView)) {
	var v pollView
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { v, err = s.readPoll(tx, r.PathValue("id"), s.lang(r), u); return err })
	if s.figuresFailed(w, r, err) {
		return
	}
	more(&v)
	s.render(w, r, status, "poll", "", "polls", v)
}

// maxInvited is how many people one list invites.
const maxInvited = 20000

// readPeople reads who is to be invited: a mobile number in each line, and the person's group behind it. Lines that cannot be
// read are refused by their numbers, and nobody is invited.
func readPeople(r io.Reader) (out []poll.Person, err error) {
	rows, _, err := table.Open(r)
	if err != nil {
		return nil, &ticket.Refusal{Code: "file", Message: "名单无法读取：" + err.Error()}
	}
	defer rows.Close()
	var bad []string
	for {
		cells, n, err := rows.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		var broken table.Bad
		if err != nil && !errors.As(err, &broken) {
			return nil, err
		}
		if err == nil && (len(cells) == 0 || strings.TrimSpace(strings.Join(cells, "")) == "" || n == 1 && !strings.ContainsAny(cells[0], "0123456789")) {
			continue // blank, or the head
		}
		var phone contact.Phone
		if err == nil {
			phone, err = contact.ParseMobile(strings.TrimSpace(cells[0]))
		}
		if err != nil {
			bad = append(bad, strconv.Itoa(n))
			continue
		}
		x := poll.Person{Phone: phone}
		if len(cells) > 1 {
			x.Part = strings.TrimSpace(cells[1])
		}
		if out = append(out, x); len(out) > maxInvited {
			return nil, &ticket.Refusal{Code: "file", Message: fmt.Sprintf("一次最多邀请%d人", maxInvited)}
		}
	}
	if len(bad) > 0 {
		shown := bad[:min(len(bad), 20)]
		return nil, &ticket.Refusal{Code: "file", Message: fmt.Sprintf("有%d行不是手机号码（第%s行），没有发出任何邀请，请改正后重新提交", len(bad), strings.Join(shown, "、"))}
	}
	if len(out) == 0 {
		return nil, &ticket.Refusal{Code: "file", Message: "名单中没有人"}
	}
	return out, nil
}

// recentPeople are those whose requests were closed in the last days, with the branch that handled them as their group. Who
// asked for confidentiality, or came through a restricted channel, is left out.
func (s *Server) recentPeople(tx *storage.Tx, days int) ([]poll.Person, error) {
	if days < 1 || days > 400 {
		return nil, &ticket.Refusal{Code: "days", Message: "天数应为1至400"}
	}
	rows, err := storage.All(tx, func(r storage.Row) (x [2]string, err error) { return x, r.Scan(&x[0], &x[1]) },
		`SELECT contact_id, MAX(host) FROM ticket WHERE closed_at >= $1 AND contact_id <> '' AND confidential = FALSE AND restricted = FALSE AND state IN ('CLOSED', 'ARCHIVED') GROUP BY contact_id ORDER BY contact_id LIMIT 20000`,
		storage.At(s.Now().AddDate(0, 0, -days)))
	if err != nil {
		return nil, err
	}
	n, err := readNames(tx, "zh-CN")
	if err != nil {
		return nil, err
	}
	var out []poll.Person
	for _, x := range rows {
		phone, err := s.Book.Phone(tx, x[0])
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if phone, err = contact.ParseMobile(phone.Clear()); err != nil {
			continue // no text reaches them
		}
		part := ""
		if u, ok := n.units[x[1]]; ok {
			part = n.branch(u)
		}
		out = append(out, poll.Person{Phone: phone, Part: part})
	}
	if len(out) == 0 {
		return nil, &ticket.Refusal{Code: "days", Message: "这段时间没有可以邀请的人"}
	}
	return out, nil
}

func (s *Server) actOnPoll(w http.ResponseWriter, r *http.Request, u *user) {
	r.Body = http.MaxBytesReader(w, r.Body, 8<<20)
	if err := r.ParseMultipartForm(8 << 20); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		s.problem(w, r, http.StatusBadRequest, "bad-request")
		return
	}
	in := input{r}
	id, by, action := r.PathValue("id"), ticket.Staff(u.Staff), r.PathValue("action")
	lang := s.lang(r)
	said := translate(lang, "poll-done-"+action)
	run := func(fn func(tx *storage.Tx) error) error {
		return s.DB.Update(r.Context(), func(tx *storage.Tx) error {
			if _, err := s.Polls.Get(tx, id, by); err != nil {
				return err
			}
			return fn(tx)
		})
	}
	invite := func(tx *storage.Tx, people []poll.Person) error {
		n, err := s.Polls.Invite(tx, id, people, by)
		said = translate(lang, "poll-invited", n.Invited, n.Known, n.Left)
		return err
	}
	var err error
	switch action {
	case "edit":
		err = run(func(tx *storage.Tx) error { _, err := s.Polls.Edit(tx, id, makingOf(in), by); return err })
	case "discard":
		err = run(func(tx *storage.Tx) error { _, err := s.Polls.Discard(tx, id, by); return err })
	case "start":
		last, bad := workday.ParseDay(in.text("until"))
		if bad != nil {
			err = &ticket.Refusal{Code: "until", Message: translate(lang, "report-day")}
			break
		}
		err = run(func(tx *storage.Tx) error { _, err := s.Polls.Start(tx, id, last, by); return err })
	case "invite":
		var source io.Reader = strings.NewReader(in.text("people"))
		if file, _, bad := r.FormFile("file"); bad == nil {
			defer file.Close()
			source = file
		}
		people, bad := readPeople(source)
		if err = bad; err == nil {
			err = run(func(tx *storage.Tx) error { return invite(tx, people) })
		}
	case "invite-recent":
		err = run(func(tx *storage.Tx) error {
			people, err := s.recentPeople(tx, in.number("days"))
			if err != nil {
				return err
			}
			return invite(tx, people)
		})
	case "close":
		if err = run(func(*storage.Tx) error { return nil }); err == nil {
			var p poll.Poll
			if p, err = s.Polls.Close(r.Context(), s.DB, id, by); p.State == poll.Open {
				said = translate(lang, "poll-ending")
			}
		}
	case "give-up":
		err = run(func(tx *storage.Tx) error { _, err := s.Polls.GiveUp(tx, id, in.text("reason"), by); return err })
	default:
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	}
	refusal, refused := ticket.RefusedWith(err)
	switch {
	case refused:
		s.showPoll(w, r, u, statusOf(refusal), func(v *pollView) {
			if v.Error, v.People = refusal.Message, in.text("people"); action == "edit" {
				v.Typed = makingOf(in)
			}
		})
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	case err != nil:
		s.fail(w, r, err)
	case action == "discard":
		s.done(w, r, "/polls", said)
	default:
		s.done(w, r, "/polls/"+id, said)
	}
}

// pollExport is the results as a workbook. It holds counts and scrubbed words, and no answer of one person as a whole.
func (s *Server) pollExport(w http.ResponseWriter, r *http.Request, u *user) {
	var v pollView
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
		if v, err = s.readPoll(tx, r.PathValue("id"), "zh-CN", u); err != nil {
			return err
		}
		if v.Results == nil {
			return storage.ErrNotFound
		}
		_, err = audit.Append(tx, audit.Entry{Stream: poll.Stream(v.ID), Type: "poll.exported", Actor: u.Actor(), At: s.Now()})
		return err
	})
	if s.figuresFailed(w, r, err) {
		return
	}
	head := survey.Sheet{Name: "测评", Rows: [][]any{{v.Title}, {"邀请", v.Invited}, {"送达", v.Delivered}, {"回收", v.Answered}, {"回收率", v.Rate()}, {"最小公布份数", v.Smallest}, {"导出", u.Name + " " + s.Now().In(workday.Zone).Format("2006-01-02 15:04:05")}}}
	sheets := []survey.Sheet{head}
	for i, x := range v.Results {
		sheet := survey.Sheet{Name: fmt.Sprintf("第%d题", i+1), Rows: [][]any{{x.Question.Text}}}
		if x.Question.Kind == poll.Text {
			for _, words := range x.Words {
				sheet.Rows = append(sheet.Rows, []any{words})
			}
			sheets = append(sheets, sheet)
			continue
		}
		sheet.Rows = append(sheet.Rows, []any{"组别", "选项", "n", "选择数", "占比", "95%区间下限", "95%区间上限"})
		for _, t := range append([]poll.Tally{x.Whole}, x.Parts...) {
			name := t.Part
			if name == "" {
				name = "全部"
			}
			for j, o := range x.Question.Options {
				sheet.Rows = append(sheet.Rows, []any{name, o, t.N, t.Count[j], t.Share[j], t.Wide[j][0], t.Wide[j][1]})
			}
		}
		sheets = append(sheets, sheet)
	}
	var out bytes.Buffer
	if err := table.WriteSheets(&out, s.bookBy(u), sheets...); err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": v.Title + ".xlsx"}))
	w.Header().Set("Cache-Control", "private, no-store")
	out.WriteTo(w)
}

func (s *Server) publicPollForm(w http.ResponseWriter, r *http.Request) { s.publicPoll(w, r, false) }
func (s *Server) publicPollTake(w http.ResponseWriter, r *http.Request) { s.publicPoll(w, r, true) }

// publicPoll shows an invited person the questions, or takes their one answer. A link that was used, one that never was, and
// one whose poll is over are all one.
func (s *Server) publicPoll(w http.ResponseWriter, r *http.Request, post bool) {
	if s.throttled(w, r, &s.public.ask) {
		return
	}
	token, why := r.PathValue("token"), ""
	var p poll.Poll
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { p, err = s.Polls.Linked(tx, token); return err })
	chosen := map[string]bool{}
	words := map[int]string{}
	if err == nil && post {
		in, ok := s.form(w, r)
		if !ok {
			return
		}
		a := poll.Answer{Choices: make([][]int, len(p.Questions)), Words: make([]string, len(p.Questions))}
		for i, q := range p.Questions {
			name := "q" + strconv.Itoa(i)
			if q.Kind == poll.Text {
				a.Words[i] = in.text(name)
				words[i] = a.Words[i]
				continue
			}
			for _, value := range in.list(name) {
				n, bad := strconv.Atoi(value)
				if bad != nil {
					n = -1
				}
				a.Choices[i] = append(a.Choices[i], n)
				chosen[name+"-"+value] = true
			}
		}
		if err = s.DB.Update(r.Context(), func(tx *storage.Tx) error { return s.Polls.Take(tx, token, a) }); err == nil {
			thanks := "poll-thanks"
			if p.Named {
				thanks = "poll-thanks-named"
			}
			s.publicShow(w, r, http.StatusOK, "public-note", map[string]any{"Text": thanks})
			return
		}
		if refusal, refused := ticket.RefusedWith(err); refused {
			why, err = refusal.Message, nil
		}
	}
	switch {
	case errors.Is(err, poll.ErrNoLink):
		s.publicShow(w, r, http.StatusGone, "public-note", map[string]any{"Text": "poll-gone", "Bad": true})
	case err != nil:
		// The path holds the link: it is not logged.
		s.Log.Error("console: poll", "err", err)
		http.Error(w, translate(s.lang(r), "failed"), http.StatusInternalServerError)
	default:
		status := http.StatusOK
		if why != "" {
			status = http.StatusUnprocessableEntity
		}
		s.publicShow(w, r, status, "public-poll", map[string]any{"Poll": p, "Token": token, "Error": why, "Chosen": chosen, "Words": words})
	}
}

// PollOut is a poll in the API.
type PollOut struct {
	ID        string          `json:"id"`
	Title     string          `json:"title"`
	State     string          `json:"state" enum:"DRAFT,OPEN,CLOSED"`
	Named     bool            `json:"named,omitempty" doc:"under a name; may be answered by a digit in reply to the text"`
	Smallest  int             `json:"smallest" doc:"k: nothing is told of fewer answers"`
	Invited   int             `json:"invited"`
	Delivered int             `json:"delivered"`
	Answered  int             `json:"answered"`
	ClosesAt  *time.Time      `json:"closes_at,omitempty"`
	ClosedAt  *time.Time      `json:"closed_at,omitempty"`
	Results   []PollResult    `json:"results,omitempty" doc:"of a poll that is over and had at least k answers"`
	Questions []poll.Question `json:"questions,omitempty"`
}

// PollResult is what one question came to.
type PollResult struct {
	Question string      `json:"question"`
	Tallies  []PollTally `json:"tallies,omitempty" doc:"everybody first, then the groups"`
	Words    []string    `json:"words,omitempty" doc:"in own words, numbers and names hidden"`
}

// PollTally is the answers of everybody or of a group.
type PollTally struct {
	Part     string    `json:"part,omitempty"`
	N        int       `json:"n"`
	Count    []int     `json:"count"`
	Rate     *float64  `json:"rate,omitempty" doc:"of a five-level question: basically satisfied or better"`
	Interval []float64 `json:"interval,omitempty" doc:"Wilson 95 % of rate"`
	Mean     *float64  `json:"mean,omitempty" doc:"of a five-level question, from 0 to 100"`
	Small    bool      `json:"small,omitempty" doc:"fewer than thirty: not to be compared"`
}

func pollOut(p poll.Poll) PollOut {
	return PollOut{ID: p.ID, Title: p.Title, State: string(p.State), Named: p.Named, Smallest: p.Smallest, Invited: p.Invited, Delivered: p.Delivered, Answered: p.Answered, ClosesAt: stampOrNil(p.ClosesAt), ClosedAt: stampOrNil(p.EndedAt)}
}

func (s *Server) apiPolls(ctx context.Context, in *struct{ Paging }) (*listOf[PollOut], error) {
	return listed(ctx, s, "list polls", org.ViewPolls, func(tx *storage.Tx, by ticket.Actor) ([]poll.Poll, int, error) {
		return s.Polls.List(tx, by, in.Limit, in.Offset)
	}, pollOut)
}

func (s *Server) apiPoll(ctx context.Context, in *struct {
	ID string `path:"id"`
}) (*struct{ Body PollOut }, error) {
	by, err := caller(ctx, org.ViewPolls)
	if err != nil {
		return nil, err
	}
	var p poll.Poll
	var results []poll.Result
	err = s.DB.View(ctx, func(tx *storage.Tx) (err error) {
		if p, err = s.Polls.Get(tx, in.ID, ticket.Token(by)); err == nil {
			results, err = s.Polls.Results(tx, p, ticket.Token(by))
		}
		return err
	})
	if err != nil {
		return nil, s.problemOf("get poll", err)
	}
	out := pollOut(p)
	out.Questions = p.Questions
	for _, x := range results {
		r := PollResult{Question: x.Question.Text, Words: x.Words}
		if x.Question.Kind != poll.Text {
			for _, t := range append([]poll.Tally{x.Whole}, x.Parts...) {
				y := PollTally{Part: t.Part, N: t.N, Count: slices.Clone(t.Count), Small: t.Small}
				if x.Question.Kind == poll.Scale {
					y.Rate, y.Interval, y.Mean = &t.Rate, t.Interval[:], &t.Mean
				}
				r.Tallies = append(r.Tallies, y)
			}
		}
		out.Results = append(out.Results, r)
	}
	return &struct{ Body PollOut }{out}, nil
}
