package speech

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// FunASR is a FunASR server that listens in two passes over a WebSocket: text while one speaks, then the whole sentence again with
// punctuation. It serves the C++ and the Python server, which differ (see read).
type FunASR struct {
	URL     string        // ws://host:10095 or wss://host:10095
	Client  *http.Client  // for a trusted certificate of one's own; http.DefaultClient by default
	Connect time.Duration // for the connection to be there; 3 s by default
	Weight  int           // of the words of Listen; 20 by default
}

var _ Recognizer = FunASR{}

// Name is the protocol.
func (f FunASR) Name() string { return "funasr/2pass" }

const (
	// A stride is 60 ms of 16 kHz: 60 × chunk_size[1] / chunk_interval. The Python server counts frames, not
	// milliseconds, so that every frame must be one stride, exactly.
	strideBytes = 1920
	// behind is how many strides may wait to be sent: 6 s.
	behind = 100
	// grace is how long after the end of input another sentence may follow one that was called final: the Python
	// server calls every sentence final.
	grace = time.Second
)

type funasrBegin struct {
	Mode      string `json:"mode"`
	Name      string `json:"wav_name"`
	Speaking  bool   `json:"is_speaking"`
	Format    string `json:"wav_format"`
	Rate      int    `json:"audio_fs"`
	ChunkSize [3]int `json:"chunk_size"`
	Interval  int    `json:"chunk_interval"`
	Encoder   int    `json:"encoder_chunk_look_back"`
	Decoder   int    `json:"decoder_chunk_look_back"`
	Hotwords  string `json:"hotwords,omitempty"`
	ITN       bool   `json:"itn"`
}

// funasrAnswer leaves out timestamp and stamp_sents, which have several types.
type funasrAnswer struct {
	Mode  string `json:"mode"`
	Text  string `json:"text"`
	Final bool   `json:"is_final"`
	End   bool   `json:"is_end"`
	// Error is set by newer Python servers in the acknowledgement of the end. It is not repeated in our errors,
	// which are logged.
	Error json.RawMessage `json:"error"`
}

// Listen connects and sends the configuration, before which neither server hears anything.
func (f FunASR) Listen(ctx context.Context, opt Listen) (Stream, error) {
	connect := f.Connect
	if connect == 0 {
		connect = 3 * time.Second
	}
	dial, stop := context.WithTimeout(ctx, connect)
	defer stop()
	conn, _, err := websocket.Dial(dial, f.URL, &websocket.DialOptions{HTTPClient: f.Client, Subprotocols: []string{"binary"}})
	if err != nil {
		return nil, fmt.Errorf("connect to FunASR: %w", err)
	}
	conn.SetReadLimit(mostText)
	begin, err := f.begin(opt)
	if err == nil {
		err = conn.Write(dial, websocket.MessageText, begin)
	}
	if err != nil {
		conn.CloseNow()
		return nil, fmt.Errorf("configure FunASR: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &funasrStream{
		conn: conn, ctx: ctx, cancel: cancel,
		strides: make(chan []byte, behind),
		results: make(chan Result, 16),
		done:    make(chan struct{}),
		ended:   make(chan struct{}),
	}
	go s.write()
	go s.read()
	return s, nil
}

func (f FunASR) begin(opt Listen) ([]byte, error) {
	b := funasrBegin{
		Mode: "2pass", Name: opt.ID, Speaking: true, Format: "pcm", Rate: 16000,
		ChunkSize: [3]int{5, 10, 5}, Interval: 10, Encoder: 4, Decoder: 0, ITN: true,
	}
	if len(opt.Words) > 0 {
		weight := f.Weight
		if weight == 0 {
			weight = 20
		}
		words := map[string]int{}
		for _, w := range opt.Words {
			words[w] = weight
		}
		h, err := json.Marshal(words)
		if err != nil {
			return nil, err
		}
		b.Hotwords = string(h) // a string that holds JSON
	}
	return json.Marshal(b)
}

type funasrStream struct {
	conn    *websocket.Conn
	ctx     context.Context
	cancel  context.CancelFunc
	strides chan []byte
	results chan Result
	ended   chan struct{} // closed once the end of input has been sent
	done    chan struct{} // closed when results is

	mu       sync.Mutex // guards what follows
	double   doubler
	wide     []int16 // 16 kHz, less than a stride
	finished bool
	closed   bool
	err      error
}

func (s *funasrStream) Feed(samples []int16) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished {
		return errors.Join(ErrFinished, s.err)
	}
	s.wide = s.double.add(s.wide, samples)
	for len(s.wide) >= strideBytes/2 {
		b := stride(s.wide[:strideBytes/2])
		s.wide = append(s.wide[:0], s.wide[strideBytes/2:]...)
		select {
		case s.strides <- b:
		default:
			s.fail(ErrOverrun)
			return ErrOverrun
		}
	}
	return nil
}

// stride is samples as bytes, filled with silence to a whole stride.
func stride(samples []int16) []byte {
	b := make([]byte, strideBytes)
	for i, v := range samples {
		binary.LittleEndian.PutUint16(b[2*i:], uint16(v))
	}
	return b
}

// fail ends the stream; s.mu is held.
func (s *funasrStream) fail(err error) {
	if s.err == nil && !s.closed {
		s.err = err
	}
	if !s.finished {
		s.finished = true
		close(s.strides)
	}
	s.cancel()
}

func (s *funasrStream) broken(err error) {
	s.mu.Lock()
	s.fail(err)
	s.mu.Unlock()
}

// write sends strides, and after the last of them the end of input.
func (s *funasrStream) write() {
	for b := range s.strides {
		if err := s.conn.Write(s.ctx, websocket.MessageBinary, b); err != nil {
			s.broken(fmt.Errorf("send to FunASR: %w", err))
			return
		}
	}
	if s.ctx.Err() != nil {
		return
	}
	close(s.ended) // first, so that the answer cannot overtake it
	if err := s.conn.Write(s.ctx, websocket.MessageText, []byte(`{"is_speaking":false,"is_end":true}`)); err != nil {
		s.broken(fmt.Errorf("send to FunASR: %w", err))
	}
}

// read puts answers into results until the server has nothing more to say. A sentence is over when mode is "2pass-offline", whatever
// is_final says; is_final ends the stream only after our end of input, and only if nothing follows.
func (s *funasrStream) read() {
	defer close(s.done)
	defer close(s.results)
	defer s.cancel()
	defer s.conn.CloseNow()
	messages := make(chan funasrAnswer)
	go s.receive(messages)
	var partial string
	var last <-chan time.Time
	for {
		select {
		case <-last:
			s.leave()
			return
		case a, ok := <-messages:
			if !ok {
				return
			}
			if len(a.Error) > 0 && string(a.Error) != "null" && string(a.Error) != `""` {
				s.broken(errors.New("FunASR reports an error"))
				return
			}
			switch a.Mode {
			case "2pass-online":
				if a.Text == "" {
					break
				}
				partial += a.Text // an increment
				s.put(Result{Text: partial})
			case "2pass-offline":
				partial = ""
				if a.Text != "" {
					s.put(Result{Text: a.Text, Final: true})
				}
			}
			if over, sure := s.over(a); over {
				if sure {
					s.leave()
					return
				}
				last = time.After(grace)
			}
		}
	}
}

// leave closes the connection politely; what receive meets from then on is no error.
func (s *funasrStream) leave() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.conn.Close(websocket.StatusNormalClosure, "")
}

// over says whether an answer may be the last, and whether it surely is: the acknowledgement of the end, or the C++ server's
// last message, which has neither mode nor text.
func (s *funasrStream) over(a funasrAnswer) (over, sure bool) {
	select {
	case <-s.ended:
	default:
		return false, false
	}
	return a.Final || a.End, a.End || (a.Final && a.Mode == "")
}

func (s *funasrStream) put(r Result) {
	select {
	case s.results <- r:
	case <-s.ctx.Done():
	}
}

func (s *funasrStream) receive(messages chan<- funasrAnswer) {
	defer close(messages)
	for {
		_, b, err := s.conn.Read(s.ctx)
		if err != nil {
			select {
			case <-s.ended:
				if websocket.CloseStatus(err) == websocket.StatusNormalClosure || s.ctx.Err() != nil {
					return // an orderly end
				}
			default:
			}
			s.broken(fmt.Errorf("hear from FunASR: %w", err))
			return
		}
		var a funasrAnswer
		if err := json.Unmarshal(b, &a); err != nil {
			s.broken(errors.New("hear from FunASR: a message is no JSON object of the protocol"))
			return
		}
		select {
		case messages <- a:
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *funasrStream) Results() <-chan Result { return s.results }

// Finish also bounds the wait for a server that never ends (modelscope/FunASR issue 3438): ctx should have a deadline.
func (s *funasrStream) Finish(ctx context.Context) error {
	s.mu.Lock()
	if !s.finished {
		s.finished = true
		if len(s.wide) > 0 {
			select {
			case s.strides <- stride(s.wide):
			default: // 60 ms at the end of six seconds of delay are no loss
			}
		}
		close(s.strides)
	}
	s.mu.Unlock()
	select {
	case <-s.done:
		return s.Err()
	case <-ctx.Done():
		s.Close()
		return fmt.Errorf("finish recognition: %w", ctx.Err())
	}
}

func (s *funasrStream) Close() error {
	s.mu.Lock()
	s.closed = true
	if !s.finished {
		s.finished = true
		close(s.strides)
	}
	s.mu.Unlock()
	s.cancel()
	return nil
}

func (s *funasrStream) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(s.err, context.Canceled) {
		return nil // we were asked to stop
	}
	return s.err
}
