package ivrtest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"lianxin/ivr"
	"lianxin/ivr/flow"
	"lianxin/speech"
	"lianxin/storage"
)

// read finds a flow that another calls.
func (opt Options) read(name string) (*flow.Flow, error) {
	text, ok := opt.Flows[name]
	if !ok {
		return nil, fmt.Errorf("flow %s: %w", name, fs.ErrNotExist)
	}
	return flow.Parse(name+".yaml", []byte(text))
}

// own puts the flow and queue files of a scenario in the place of those that ship with the program.
func (p *play) own(opt *Options) {
	for name, text := range p.files {
		base, ok := strings.CutSuffix(name, ".yaml")
		if !ok {
			continue
		}
		if p.hooks != nil {
			text = strings.ReplaceAll(text, "${hook}", p.hooks.URL)
		}
		switch base {
		case "queues":
			opt.Queues = text
		case "hotline":
			opt.Flow = text
		default:
			if opt.Flows == nil {
				opt.Flows = map[string]string{}
			}
			opt.Flows[base] = text
		}
	}
}

func with(first, then func(*ivr.Config)) func(*ivr.Config) {
	return func(c *ivr.Config) {
		if first != nil {
			first(c)
		}
		then(c)
	}
}

// ears is a recogniser that understands the same words whenever it hears a sound.
type ears string

func (ears) Name() string { return "ears" }

func (e ears) Listen(context.Context, speech.Listen) (speech.Stream, error) {
	return &ear{text: string(e), results: make(chan speech.Result, 64)}, nil
}

type ear struct {
	text    string
	loud    int
	results chan speech.Result
	once    sync.Once
}

func (e *ear) Feed(pcm []int16) error {
	loud := false
	for _, s := range pcm {
		loud = loud || s > 2000
	}
	switch {
	case loud:
		e.loud++
	case e.loud > 5: // the end of an utterance
		e.loud = 0
		e.results <- speech.Result{Text: e.text, Final: true}
	default:
		e.loud = 0
	}
	return nil
}

func (e *ear) Results() <-chan speech.Result { return e.results }
func (e *ear) Finish(context.Context) error  { return nil }
func (e *ear) Close() error                  { e.once.Do(func() { close(e.results) }); return nil }
func (e *ear) Err() error                    { return nil }

const hookSecret = "hook-secret"

// hooks is a program that flows ask.
type hooks struct {
	*httptest.Server
	host   string
	mu     sync.Mutex
	bodies []string
}

// answering starts a program that gives the same answer to all questions, and fails the test when one is not signed.
func answering(t *testing.T, answer string) *hooks {
	h := &hooks{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		at, sum, _ := strings.Cut(strings.TrimPrefix(r.Header.Get(ivr.HookSignature), "t="), ",v1=")
		mac := hmac.New(sha256.New, []byte(hookSecret))
		mac.Write([]byte(at + "." + string(body)))
		if sum != hex.EncodeToString(mac.Sum(nil)) {
			t.Errorf("a question is not signed: %q", r.Header.Get(ivr.HookSignature))
		}
		h.mu.Lock()
		h.bodies = append(h.bodies, string(body))
		h.mu.Unlock()
		switch answer {
		case "hangs":
			<-r.Context().Done()
		case "redirects":
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
		default:
			_, _ = io.WriteString(w, answer)
		}
	}))
	t.Cleanup(func() { h.CloseClientConnections(); h.Close() })
	h.host = strings.TrimPrefix(h.URL, "http://")
	return h
}

// asked holds lines of a section against what the program was asked.
func (p *play) asked(want string) {
	p.t.Helper()
	p.hooks.mu.Lock()
	defer p.hooks.mu.Unlock()
	all := strings.Join(p.hooks.bodies, "\n")
	for _, line := range lines(want) {
		if no, ok := strings.CutPrefix(line, "never "); ok {
			if strings.Contains(all, no) {
				p.t.Errorf("hook: %q was sent: %s", no, all)
			}
		} else if !strings.Contains(all, line) {
			p.t.Errorf("hook: %q was not sent: %s", line, all)
		}
	}
}

// answerFields are the answers by key and the named parts of the recording of a call.
func (p *play) answerFields(r ivr.Record) map[string]string {
	f := map[string]string{}
	p.View(p.t, func(tx *storage.Tx) error {
		answers, err := p.Hotline.Calls().Answers(tx, r.ID)
		if err != nil {
			return err
		}
		for _, a := range answers {
			f[a.Name] = a.Value
		}
		clips, err := p.Hotline.Calls().Clips(tx, r.ID)
		for _, c := range clips {
			f["clip "+c.Name] = fmt.Sprintf("%ds", int(c.Time.Seconds()))
		}
		return err
	})
	return f
}
