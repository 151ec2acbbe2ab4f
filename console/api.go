package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"lianxin/contact"
	"lianxin/ivr"
	"lianxin/org"
	"lianxin/sms"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// APIRole is the role of the token that the configuration or the first start gives: it sees every unit's tickets, opens
// tickets, and sees calls, surveys and texts. Narrower tokens are made with lianxin user token.
const APIRole = org.Supervisor

type tokenCtx struct{}

// api registers the JSON API. Numbers are masked everywhere in it; the OpenAPI document stands at /api/v1/openapi.json.
func (s *Server) api(mux *http.ServeMux) {
	cfg := huma.DefaultConfig("Lianxin 连心", "1")
	cfg.OpenAPIPath = "/api/v1/openapi"
	cfg.DocsPath = ""
	cfg.SchemasPath = "/api/v1/schemas"
	cfg.Info.Description = "Tickets, calls, surveys and texts of a public opinion centre. Bearer tokens carry a role; numbers are masked."
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}}
	cfg.Security = []map[string][]string{{"token": {}}}
	api := humago.New(mux, cfg)
	api.UseMiddleware(s.authorize(api))

	huma.Get(api, "/api/v1/tickets", s.apiTickets, named("list-tickets", "Tickets, most urgent first"))
	huma.Get(api, "/api/v1/tickets/{id}", s.apiTicket, named("get-ticket", "One ticket by id or number, with legs, clocks and timeline"))
	huma.Post(api, "/api/v1/tickets", s.apiOpenTicket, named("open-ticket", "Open a ticket; the Idempotency-Key makes a repeat harmless"), created)
	huma.Get(api, "/api/v1/calls", s.apiCalls, named("list-calls", "Calls, newest first"))
	huma.Get(api, "/api/v1/calls/{id}", s.apiCall, named("get-call", "One call"))
	s.callAPI(api)
	s.guardAPI(api)
	s.telephoneAPI(api)
	s.markAPI(api)
	s.queueAPI(api)
	s.controlAPI(api)
	huma.Get(api, "/api/v1/surveys", s.apiSurveys, named("list-survey-runs", "Survey runs, newest first"))
	huma.Get(api, "/api/v1/surveys/{day}", s.apiSurvey, named("get-survey-run", "Figures of the survey of one day"))
	huma.Get(api, "/api/v1/messages", s.apiMessages, named("list-messages", "Texts, newest first"))
	huma.Get(api, "/api/v1/messages/{id}", s.apiMessage, named("get-message", "One text with its receipts"))
	s.overseeAPI(api)
	s.alertAPI(api)
	s.figureAPI(api)
	s.reportAPI(api)
	s.pollAPI(api)
	if s.Handset != nil {
		huma.Post(api, "/api/v1/sim/replies", s.apiSimReply, named("simulate-reply", "A resident answers on the simulated handset"), accepted)
	}
}

func named(id, summary string) func(*huma.Operation) {
	return func(o *huma.Operation) { o.OperationID, o.Summary = id, summary }
}

func created(o *huma.Operation)  { o.DefaultStatus = http.StatusCreated }
func accepted(o *huma.Operation) { o.DefaultStatus = http.StatusAccepted }

// authorize lets requests with a good bearer token (RFC 6750) through.
func (s *Server) authorize(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		scheme, secret, _ := strings.Cut(ctx.Header("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || secret == "" {
			ctx.SetHeader("WWW-Authenticate", "Bearer")
			huma.WriteErr(api, ctx, http.StatusUnauthorized, "a bearer token is needed")
			return
		}
		t, err := s.checkToken(ctx.Context(), strings.TrimSpace(secret))
		if errors.Is(err, org.ErrBadToken) {
			ctx.SetHeader("WWW-Authenticate", `Bearer error="invalid_token"`)
			huma.WriteErr(api, ctx, http.StatusUnauthorized, "the token is unknown, expired or revoked")
			return
		}
		if err != nil {
			s.Log.Error("console: check token", "err", err)
			huma.WriteErr(api, ctx, http.StatusInternalServerError, "the token could not be checked")
			return
		}
		next(huma.WithValue(ctx, tokenCtx{}, t))
	}
}

func (s *Server) checkToken(ctx context.Context, secret string) (org.Token, error) {
	if s.APIToken != "" {
		a, b := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(s.APIToken))
		if subtle.ConstantTimeCompare(a[:], b[:]) == 1 {
			return org.Token{ID: "configured", Name: "configured", Role: APIRole}, nil
		}
	}
	return org.CheckToken(ctx, s.DB, secret)
}

// caller returns who asks, or 403 when the token's role lacks the permission.
func caller(ctx context.Context, a org.Action) (org.Token, error) {
	t, _ := ctx.Value(tokenCtx{}).(org.Token)
	if !t.Can(a) {
		return t, huma.Error403Forbidden("the token's role does not allow " + string(a))
	}
	return t, nil
}

// problemOf turns what a room returned into an answer: a refusal is 422 with its code and zh-CN reason.
func (s *Server) problemOf(what string, err error) error {
	if refusal, ok := ticket.RefusedWith(err); ok {
		return huma.Error422UnprocessableEntity(refusal.Message, &huma.ErrorDetail{Location: "rule", Message: refusal.Code})
	}
	if errors.Is(err, storage.ErrNotFound) {
		return huma.Error404NotFound("there is no such thing")
	}
	s.Log.Error("api: "+what, "err", err)
	return huma.Error500InternalServerError("something went wrong and has been logged")
}

// Paging chooses a page of a list.
type Paging struct {
	Limit  int `query:"limit" minimum:"1" maximum:"500" default:"50"`
	Offset int `query:"offset" minimum:"0" default:"0"`
}

// TicketOut is a ticket in lists of the API. Numbers are masked; times are Asia/Shanghai.
type TicketOut struct {
	ID         string     `json:"id"`
	Number     string     `json:"number"`
	State      string     `json:"state" doc:"code of the domain model, such as HANDLING"`
	StateLabel string     `json:"state_label"`
	Channel    string     `json:"channel"`
	ExternalID string     `json:"external_id,omitempty"`
	Kind       string     `json:"kind,omitempty"`
	Colour     string     `json:"colour"`
	Title      string     `json:"title"`
	Body       string     `json:"body,omitempty"`
	Place      string     `json:"place,omitempty"`
	Host       string     `json:"host,omitempty" doc:"主办 unit"`
	Round      int        `json:"round"`
	Stars      int        `json:"stars,omitempty" doc:"the last rating: 5 非常满意 … 1 非常不满意"`
	CallID     string     `json:"call_id,omitempty"`
	RecordID   string     `json:"record_id,omitempty"`
	Incident   string     `json:"incident,omitempty"`
	Window     string     `json:"window,omitempty" doc:"number of the window that it is about"`
	Clerk      string     `json:"clerk,omitempty" doc:"number of the clerk"`
	ReceivedAt time.Time  `json:"received_at"`
	ClosedAt   *time.Time `json:"closed_at,omitempty"`
	Due        *time.Time `json:"due,omitempty" doc:"the earliest running clock"`
}

func stampOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.In(workday.Zone)
	return &t
}

func ticketOut(t ticket.Ticket) TicketOut {
	return TicketOut{ID: t.ID, Number: t.Number, State: string(t.State), StateLabel: t.StateLabel(), Channel: t.Channel, ExternalID: t.ExternalID,
		Kind: string(t.Kind), Colour: string(t.Colour), Title: t.Title, Body: t.Body, Place: t.Place, Host: t.Host, Round: t.Round, Stars: int(t.Stars),
		CallID: t.CallID, RecordID: t.RecordID, Incident: t.IncidentNo, Window: t.WindowNo, Clerk: t.ClerkNo, ReceivedAt: t.ReceivedAt.In(workday.Zone), ClosedAt: stampOrNil(t.ClosedAt), Due: stampOrNil(t.Due)}
}

// TicketIn is the body of open-ticket.
type TicketIn struct {
	Channel    string `json:"channel" doc:"code of a channel, such as web, mini, 12345" example:"web"`
	ExternalID string `json:"external_id,omitempty" maxLength:"100" doc:"its number where it came from; unique per channel"`
	Kind       string `json:"kind,omitempty" enum:"inquiry,help,complaint,report,suggestion,praise,decision"`
	Title      string `json:"title" minLength:"1" maxLength:"200"`
	Body       string `json:"body" maxLength:"20000"`
	Place      string `json:"place,omitempty" maxLength:"200"`
	Phone      string `json:"phone,omitempty" maxLength:"30" doc:"of the citizen; stored sealed, shown masked"`
	Name       string `json:"name,omitempty" maxLength:"60"`
	Unit       string `json:"unit,omitempty" doc:"id of the unit it probably belongs to"`
	Accused    string `json:"accused_unit,omitempty" doc:"id of the unit that it complains about, which never sees it"`
	Incident   string `json:"incident,omitempty" maxLength:"64" doc:"number of the incident (警情号) that it belongs with"`
	Window     string `json:"window,omitempty" maxLength:"30" doc:"number of the window that it is about"`
	Clerk      string `json:"clerk,omitempty" maxLength:"30" doc:"number of the clerk: letters and digits, never a name"`

	Confidential bool `json:"confidential,omitempty"`
	Anonymous    bool `json:"anonymous,omitempty"`
}

// apiOpenTicket opens a ticket, its contact and the note of its key in one transaction.
func (s *Server) apiOpenTicket(ctx context.Context, in *struct {
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"200"`
	Body TicketIn
}) (*openedOut, error) {
	by, err := caller(ctx, org.OpenTicket)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(in.Body.Title) == "" {
		return nil, huma.Error422UnprocessableEntity("a title is needed", &huma.ErrorDetail{Location: "body.title"})
	}
	raw, err := json.Marshal(in.Body)
	if err != nil {
		return nil, s.problemOf("open ticket", err)
	}
	sum := sha256.Sum256(raw)
	var t ticket.Ticket
	err = s.DB.Update(ctx, func(tx *storage.Tx) error {
		known, err := s.idempotent(tx, by, in.Key, hex.EncodeToString(sum[:]))
		if err != nil {
			return err
		}
		if known != "" {
			t, err = s.Office.Get(tx, known)
			return err
		}
		for at, unit := range map[string]string{"body.unit": in.Body.Unit, "body.accused_unit": in.Body.Accused} {
			if unit == "" {
				continue
			}
			if _, err := org.GetUnit(tx, unit); errors.Is(err, storage.ErrNotFound) {
				return huma.Error422UnprocessableEntity("there is no such unit", &huma.ErrorDetail{Location: at, Value: unit})
			} else if err != nil {
				return err
			}
		}
		intake := ticket.Intake{Channel: in.Body.Channel, ExternalID: in.Body.ExternalID, Kind: ticket.Kind(in.Body.Kind), Title: in.Body.Title, Body: in.Body.Body,
			Place: in.Body.Place, UnitHint: in.Body.Unit, AccusedUnit: in.Body.Accused, IncidentNo: in.Body.Incident, WindowNo: in.Body.Window, ClerkNo: in.Body.Clerk, Confidential: in.Body.Confidential, Anonymous: in.Body.Anonymous, Raw: raw, By: ticket.Token(by)}
		if in.Body.Phone != "" {
			phone, err := contact.ParsePhone(in.Body.Phone)
			if err != nil {
				return huma.Error422UnprocessableEntity(contact.Reason(err), &huma.ErrorDetail{Location: "body.phone", Message: contact.Code(err)})
			}
			person, err := s.Book.Ensure(tx, phone, in.Body.Name)
			if err != nil {
				return err
			}
			intake.ContactID = person.ID
		}
		if t, err = s.Office.Open(tx, intake); err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO idempotency (owner, key, request, ref, at) VALUES ($1, $2, $3, $4, $5)`,
			by.Actor(), in.Key, hex.EncodeToString(sum[:]), t.ID, s.Now().UnixMilli())
		return err
	})
	var status huma.StatusError
	if errors.As(err, &status) {
		return nil, err
	}
	if errors.Is(err, storage.ErrConflict) {
		return nil, huma.Error409Conflict("another request with this key is under way; ask again")
	}
	if err != nil {
		return nil, s.problemOf("open ticket", err)
	}
	out := &openedOut{Status: http.StatusCreated, Location: "/api/v1/tickets/" + t.ID, Body: ticketOut(t)}
	if t.Existing {
		out.Status = http.StatusOK // the external id was known: what came now is kept beside the first original
	}
	return out, nil
}

// openedOut answers open-ticket: 201 for a new ticket, 200 for one whose external id was there already.
type openedOut struct {
	Status   int
	Location string `header:"Location"`
	Body     TicketOut
}

// idempotent returns what an earlier request with the key made, "" for a new key, or 422 when the key was used for
// something else.
func (s *Server) idempotent(tx *storage.Tx, by org.Token, key, sum string) (ref string, err error) {
	type noted struct{ request, ref string }
	n, err := storage.One(tx, func(r storage.Row) (n noted, err error) { return n, r.Scan(&n.request, &n.ref) },
		`SELECT request, ref FROM idempotency WHERE owner = $1 AND key = $2`, by.Actor(), key)
	if errors.Is(err, storage.ErrNotFound) {
		return "", nil
	}
	if err == nil && n.request != sum {
		return "", huma.Error422UnprocessableEntity("this Idempotency-Key was used for another request")
	}
	return n.ref, err
}

// CallOut is a call in the API.
type CallOut struct {
	ID          string     `json:"id"`
	Caller      string     `json:"caller" doc:"masked number"`
	Disposition string     `json:"disposition" doc:"empty while the call is up"`
	Label       string     `json:"label"`
	Urgent      bool       `json:"urgent"`
	Started     time.Time  `json:"started"`
	Answered    *time.Time `json:"answered,omitempty"`
	Queued      *time.Time `json:"queued,omitempty"`
	Connected   *time.Time `json:"connected,omitempty"`
	Ended       *time.Time `json:"ended,omitempty"`
	EndedBy     string     `json:"ended_by,omitempty"`
	Operator    string     `json:"operator,omitempty" doc:"extension"`
	WaitMS      int64      `json:"wait_ms"`
	TalkMS      int64      `json:"talk_ms"`
	Rating      int        `json:"rating,omitempty" doc:"key pressed: 1 非常满意 … 5 非常不满意"`
	Recording   string     `json:"recording,omitempty"`
	RecordingMS int64      `json:"recording_ms,omitempty"`
	Fault       string     `json:"recording_fault,omitempty" doc:"why, from when and how much of the call is not recorded (zh-CN)"`
	SHA256      string     `json:"recording_sha256,omitempty"`
	TicketID    string     `json:"ticket_id,omitempty"`
	CallbackID  string     `json:"callback_id,omitempty"`
	Direction   string     `json:"direction" enum:"in,out"`

	Proof string `json:"proof,omitempty" enum:"passed,wrong,silent,urgent,left" doc:"what the caller made of the two keys that are asked for in a flood"`

	CallParts
}

func callOut(c ivr.Record) CallOut {
	return CallOut{ID: c.ID, Caller: c.Label(), Disposition: string(c.Disposition), Label: c.Disposition.Label(), Urgent: c.Urgent, Started: c.Started.In(workday.Zone),
		Answered: stampOrNil(c.Answered), Queued: stampOrNil(c.Queued), Connected: stampOrNil(c.Connected), Ended: stampOrNil(c.Ended), EndedBy: c.EndedBy,
		Operator: c.Operator, WaitMS: c.Wait.Milliseconds(), TalkMS: c.Talk.Milliseconds(), Rating: c.Rating, Recording: c.Recording,
		RecordingMS: c.RecordingTime.Milliseconds(), Fault: c.RecordingFault, SHA256: c.RecordingSHA256, TicketID: c.TicketID, CallbackID: c.CallbackID, Direction: directionOf(c), Proof: string(c.Proof)}
}

type listOf[T any] struct {
	Body struct {
		Items []T `json:"items"`
		Total int `json:"total" doc:"of all that match, not only of this page"`
	}
}

func list[T, U any](items []T, total int, out func(T) U) *listOf[U] {
	l := &listOf[U]{}
	l.Body.Total, l.Body.Items = total, make([]U, len(items))
	for i, item := range items {
		l.Body.Items[i] = out(item)
	}
	return l
}

func (s *Server) apiCalls(ctx context.Context, in *struct {
	Paging
	Day         string `query:"day" format:"date" doc:"only calls that began on this day"`
	Disposition string `query:"disposition"`
	TicketID    string `query:"ticket_id"`
}) (*listOf[CallOut], error) {
	by, err := caller(ctx, org.ViewCalls)
	if err != nil {
		return nil, err
	}
	if in.Disposition != "" && !slices.Contains(ivr.Dispositions, ivr.Disposition(in.Disposition)) {
		return nil, huma.Error422UnprocessableEntity("there is no such disposition", &huma.ErrorDetail{Location: "query.disposition", Value: in.Disposition})
	}
	f := ivr.Filter{Limit: in.Limit, Offset: in.Offset, Disposition: ivr.Disposition(in.Disposition), TicketID: in.TicketID}
	if in.Day != "" {
		day, err := workday.ParseDay(in.Day)
		if err != nil {
			return nil, huma.Error422UnprocessableEntity(err.Error(), &huma.ErrorDetail{Location: "query.day"})
		}
		f.From, f.To = day.Start(), day.End()
	}
	var out *listOf[CallOut]
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		calls, total, err := s.callsFor(tx, f, ticket.Token(by))
		out = list(calls, total, callOut)
		return err
	})
	if err != nil {
		return nil, s.problemOf("list calls", err)
	}
	return out, nil
}

type one[T any] struct{ Body T }

func (s *Server) apiCall(ctx context.Context, in *struct {
	ID string `path:"id"`
}) (*one[CallOut], error) {
	by, err := caller(ctx, org.ViewCalls)
	if err != nil {
		return nil, err
	}
	var out one[CallOut]
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		c, err := s.callFor(tx, in.ID, ticket.Token(by))
		if err != nil {
			return err
		}
		parts, err := s.Calls.Parts(tx, c.ID)
		out.Body = callOut(c).with(c, parts)
		return err
	})
	if err != nil {
		return nil, s.problemOf("get call", err)
	}
	return &out, nil
}

// MessageOut is a text in the API.
type MessageOut struct {
	ID         string       `json:"id"`
	Campaign   string       `json:"campaign,omitempty"`
	Phone      string       `json:"phone" doc:"masked"`
	Body       string       `json:"body"`
	State      string       `json:"state"`
	StateLabel string       `json:"state_label"`
	Segments   int          `json:"segments"`
	Attempt    int          `json:"attempt"`
	Carrier    string       `json:"carrier"`
	Reason     string       `json:"reason,omitempty"`
	Created    time.Time    `json:"created"`
	Due        *time.Time   `json:"due,omitempty"`
	Done       *time.Time   `json:"done,omitempty"`
	Receipts   []ReceiptOut `json:"receipts,omitempty"`
}

// ReceiptOut is one delivery receipt of a text.
type ReceiptOut struct {
	At    time.Time `json:"at"`
	State string    `json:"state"`
	Code  string    `json:"code,omitempty"`
}

func messageOut(m sms.Message) MessageOut {
	return MessageOut{ID: m.ID, Campaign: m.Campaign, Phone: m.Phone.Masked(), Body: m.Body, State: string(m.State), StateLabel: m.State.Label(), Segments: m.Segments,
		Attempt: m.Attempt, Carrier: m.Carrier, Reason: m.Reason, Created: m.CreatedAt.In(workday.Zone), Due: stampOrNil(m.Due), Done: stampOrNil(m.DoneAt)}
}

func (s *Server) apiMessages(ctx context.Context, in *struct {
	Paging
	Campaign string `query:"campaign" doc:"such as survey:2026-11-22"`
	State    string `query:"state" enum:"queued,sending,unknown,accepted,delivered,failed,expired,cancelled"`
}) (*listOf[MessageOut], error) {
	by, err := caller(ctx, org.ViewTexts)
	if err != nil {
		return nil, err
	}
	if err := s.allUnits(ctx, by); err != nil {
		return nil, err
	}
	var out *listOf[MessageOut]
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		items, total, err := s.Outbox.List(tx, sms.Filter{Campaign: in.Campaign, State: sms.State(in.State), Limit: in.Limit, Offset: in.Offset})
		out = list(items, total, messageOut)
		return err
	})
	if err != nil {
		return nil, s.problemOf("list messages", err)
	}
	return out, nil
}

func (s *Server) apiMessage(ctx context.Context, in *struct {
	ID string `path:"id"`
}) (*one[MessageOut], error) {
	by, err := caller(ctx, org.ViewTexts)
	if err != nil {
		return nil, err
	}
	if err := s.allUnits(ctx, by); err != nil {
		return nil, err
	}
	var out one[MessageOut]
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		m, err := s.Outbox.Get(tx, in.ID)
		if err != nil {
			return err
		}
		out.Body = messageOut(m)
		receipts, err := sms.Receipts(tx, m.ID)
		for _, r := range receipts {
			out.Body.Receipts = append(out.Body.Receipts, ReceiptOut{At: r.At.In(workday.Zone), State: string(r.State), Code: r.Code})
		}
		return err
	})
	if err != nil {
		return nil, s.problemOf("get message", err)
	}
	return &out, nil
}

// apiSimReply is a resident who answers on the simulated handset; the reply reaches us as a carrier would bring it.
func (s *Server) apiSimReply(ctx context.Context, in *struct {
	Body struct {
		Phone string `json:"phone" doc:"the resident's mobile number"`
		Text  string `json:"text" maxLength:"2000"`
	}
}) (*one[SimReplyOut], error) {
	if _, err := caller(ctx, org.UseHandset); err != nil {
		return nil, err
	}
	phone, err := contact.ParseMobile(in.Body.Phone)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity(contact.Reason(err), &huma.ErrorDetail{Location: "body.phone", Message: contact.Code(err)})
	}
	id, err := s.Handset.Reply(ctx, phone, in.Body.Text)
	if err != nil {
		return nil, s.problemOf("simulate reply", err)
	}
	return &one[SimReplyOut]{Body: SimReplyOut{ID: id}}, nil
}

// SimReplyOut names a simulated reply.
type SimReplyOut struct {
	ID string `json:"id" doc:"the carrier's name for it"`
}
