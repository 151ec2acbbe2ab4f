package console

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"lianxin/ticket"
	"lianxin/workday"
)

// maxForm is the largest form that a page takes, in bytes: a full body of a ticket with room to spare.
const maxForm = 256 << 10

// field is one input of a form, with what stands in it.
type field struct {
	Name     string // of the input; its label is the text "f-"+Label, or "f-"+Name
	Label    string
	Kind     string // "" one line, "area", "select", "units" (check boxes), "number", "date", "check", "yesno"
	Required bool
	Values   []string
	Options  []option
	Hint     string // key of a text below the input
	Max      int    // characters
	Wide     bool   // takes a whole line of the form
}

type option struct{ Value, Label, Group string }

// Value is the first of the values.
func (f field) Value() string {
	if len(f.Values) == 0 {
		return ""
	}
	return f.Values[0]
}

// Has reports whether an option is chosen.
func (f field) Has(value string) bool { return slices.Contains(f.Values, value) }

// Shown is what was typed or chosen, in words.
func (f field) Shown() string {
	out := slices.Clone(f.Values)
	for i, v := range out {
		for _, o := range f.Options {
			if o.Value == v {
				out[i] = o.Label
			}
		}
	}
	return strings.Join(out, "、")
}

// Blank reports whether there is to be an option that chooses nothing.
func (f field) Blank() bool {
	return !f.Required || !slices.ContainsFunc(f.Options, func(o option) bool { return f.Has(o.Value) })
}

// Key is the key of the label.
func (f field) Key() string {
	if f.Label != "" {
		return "f-" + f.Label
	}
	return "f-" + f.Name
}

// Groups are the groups of the options in their order; options without one come first.
func (f field) Groups() []optionGroup {
	var out []optionGroup
	for _, o := range f.Options {
		i := slices.IndexFunc(out, func(g optionGroup) bool { return g.Label == o.Group })
		if i < 0 {
			out = append(out, optionGroup{Label: o.Group})
			i = len(out) - 1
		}
		out[i].Options = append(out[i].Options, o)
	}
	return out
}

type optionGroup struct {
	Label   string
	Options []option
}

// input is what was typed into a form.
type input struct{ r *http.Request }

// text is a value without blanks around it, lines ended as we end them.
func (in input) text(name string) string {
	return strings.TrimSpace(strings.ReplaceAll(in.r.PostFormValue(name), "\r\n", "\n"))
}

func (in input) list(name string) []string {
	return slices.DeleteFunc(slices.Clone(in.r.PostForm[name]), func(s string) bool { return s == "" })
}

func (in input) on(name string) bool { return in.r.PostFormValue(name) != "" }

// number is a whole number, -1 for anything else: the room refuses it with its own reason.
func (in input) number(name string) int {
	n, err := strconv.Atoi(in.text(name))
	if err != nil {
		return -1
	}
	return n
}

// lastMoment is the last moment of a day that was picked, the zero time for anything else.
func (in input) lastMoment(name string) time.Time {
	d, err := workday.ParseDay(in.text(name))
	if err != nil {
		return time.Time{}
	}
	return d.End().Add(-time.Second)
}

// fill puts what was typed back into the fields, so that a refusal costs nobody their words.
func (in input) fill(fields []field) []field {
	out := slices.Clone(fields)
	for i := range out {
		if typed, ok := in.r.PostForm[out[i].Name]; ok || out[i].Kind == "check" || out[i].Kind == "units" {
			out[i].Values = slices.DeleteFunc(slices.Clone(typed), func(s string) bool { return s == "" })
		}
	}
	return out
}

// form reads a form of at most maxForm bytes; otherwise it answers 400 and returns false.
func (s *Server) form(w http.ResponseWriter, r *http.Request) (input, bool) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		s.problem(w, r, http.StatusBadRequest, "bad-request")
		return input{}, false
	}
	return input{r}, true
}

// statusOf is the status of a page that shows a refusal: 409 when things are not as the reader saw them, else 422.
func statusOf(r *ticket.Refusal) int {
	switch r.Code {
	case "stale", "state", "leg_state", "decided", "asked", "taken":
		return http.StatusConflict
	}
	return http.StatusUnprocessableEntity
}

// labelled makes options of values that have a label.
func labelled[T interface {
	~string
	Label() string
}](values ...T) []option {
	out := make([]option, len(values))
	for i, v := range values {
		out[i] = option{Value: string(v), Label: v.Label()}
	}
	return out
}
