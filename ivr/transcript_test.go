package ivr_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lianxin/ivr"
	"lianxin/ivr/ivrtest"
	"lianxin/sip/media"
	"lianxin/speech"
	"lianxin/storage"
	"lianxin/ticket"
)

// deafInCalls is a recogniser that is not there while a call is up.
type deafInCalls struct{ speech.OpenAIRecognizer }

func (deafInCalls) Listen(context.Context, speech.Listen) (speech.Stream, error) {
	return nil, errors.New("deaf in calls")
}

// lockedLog is a log that many write.
type lockedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A message is written down after the call, over HTTP from the sealed recording, although the recogniser fails at first; what it heard is
// sealed, is found in the ticket, and is in no log.
func TestAMessageIsWrittenDownFromItsRecordingBesideIt(t *testing.T) {
	t.Parallel()
	const words = "我家楼下烧烤摊半夜扰民"
	var failing atomic.Bool
	var asked, loud atomic.Int32
	failing.Store(true)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		file, _, err := r.FormFile("file")
		if err != nil || failing.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var b bytes.Buffer
		_, _ = b.ReadFrom(file)
		if wav, err := media.ParseWAV(b.Bytes()); err == nil {
			for _, s := range wav.Samples {
				if s > 2000 {
					loud.Add(1)
				}
			}
		}
		fmt.Fprintf(w, `{"text": %q}`, words)
	}))
	t.Cleanup(server.Close)
	var log lockedLog
	// The recogniser hears messages only: a call that is listened to would ask it, too.
	s := ivrtest.New(t, ivrtest.Options{Log: &log, Change: func(c *ivr.Config) {
		c.Hear = deafInCalls{speech.OpenAIRecognizer{OpenAI: speech.OpenAI{Base: server.URL}, Model: "m"}}
	}})
	call := dial(t, s, "13841400001")
	hears(t, s, call, "menu.main")
	must(t, call.Press(patient(t), "0"))
	hears(t, s, call, "beep")
	call.Tone(300)
	time.Sleep(5 * time.Second) // a message has two seconds of voice at least
	must(t, call.Hangup(patient(t)))
	s.Quiet(t)
	r := s.Records(t)[0]
	if r.Disposition != ivr.Message || r.TicketID == "" {
		t.Fatalf("record %+v", r)
	}

	// A program that ends while the recogniser is away owes the work to the next one.
	first, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = (&ivr.Transcripts{Hotline: s.Hotline, Every: 20 * time.Millisecond}).Run(first)
	}()
	s.Until(t, "it has been tried", func() bool { return asked.Load() > 0 })
	stop()
	<-done
	read := func() (x ivr.Transcript, body string) {
		s.View(t, func(tx *storage.Tx) (err error) {
			if x, err = s.Hotline.Calls().Transcript(tx, r.ID); err != nil {
				return err
			}
			tk, err := s.Office.Get(tx, r.TicketID)
			body = tk.Body
			return err
		})
		return x, body
	}
	if x, body := read(); x.State != ivr.TranscriptWaiting || x.Text != "" || strings.Contains(body, "机器转写") {
		t.Errorf("after a failure: %+v, ticket %q", x, body)
	}
	failing.Store(false)
	second, stop := context.WithCancel(context.Background())
	defer stop()
	var told atomic.Int32
	go func() {
		_ = (&ivr.Transcripts{Hotline: s.Hotline, Every: 20 * time.Millisecond, Changed: func() { told.Add(1) }}).Run(second)
	}()
	s.Until(t, "it is written down", func() bool { return told.Load() > 0 })
	x, body := read()
	if x.State != ivr.TranscriptDone || !strings.Contains(x.Text, words) || x.Engine == "" || x.At.IsZero() {
		t.Errorf("transcript %+v", x)
	}
	if !strings.Contains(body, "录音") || !strings.Contains(body, "机器转写") || !strings.Contains(body, words) {
		t.Errorf("the ticket says %q", body)
	}
	if loud.Load() == 0 {
		t.Error("the recogniser heard no sound of the caller")
	}
	s.View(t, func(tx *storage.Tx) error {
		list, n, err := s.Office.List(tx, ticket.Filter{Viewer: ticket.System, Text: "烧烤摊"})
		if n != 1 || len(list) != 1 || list[0].ID != r.TicketID {
			t.Errorf("searching for it finds %d tickets", n)
		}
		if err != nil {
			return err
		}
		sealed, err := storage.One(tx, storage.Value[[]byte], `SELECT words FROM call_transcript WHERE call_id = $1`, r.ID)
		if bytes.Contains(sealed, []byte("烧烤")) || len(sealed) == 0 {
			t.Error("the words are not sealed")
		}
		return err
	})
	if strings.Contains(log.String(), "烧烤") {
		t.Error("words of the caller are in the log")
	}
}
