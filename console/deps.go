package console

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lianxin/contact"
	"lianxin/desk"
	"lianxin/ivr"
	"lianxin/privacy"
	"lianxin/report"
	"lianxin/sip/web"
	"lianxin/sms"
	"lianxin/sms/sim"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/survey/poll"
	"lianxin/ticket"
	"lianxin/ticket/channel"
	"lianxin/ticket/oversee"
)

// Deps are the rooms a console stands over.
type Deps struct {
	DB     *storage.DB
	Log    *slog.Logger
	Now    func() time.Time
	Hub    *Hub
	HTTPS  bool // the console is reached over HTTPS: cookies are marked Secure
	Sample bool // the sample city is loaded: the sign-in page says where its accounts stand

	Book     *contact.Book
	Office   *ticket.Office
	Gateway  *channel.Gateway  // where requests come in and results go out; nil without
	Proxies  []netip.Prefix    // our own proxies, whose X-Forwarded-For is believed
	Pictures *channel.Pictures // fetches what media_url of Open311 names; nil fetches nothing
	Keeper   *privacy.Keeper   // takes out personal data whose time is over; nil without
	Board    desk.Board
	Calls    ivr.Calls
	Live     func() []ivr.LiveCall // calls that are up on this node
	Survey   *survey.Survey

	Softphones *web.Exchange // telephones in operators' browsers; nil when there are none

	Order   func(ctx context.Context, callID string, o ivr.Order) error // (*ivr.Hotline).Order; nil: calls cannot be acted on from here
	CallOut func(ctx context.Context, o ivr.CallOut) (string, error)    // (*ivr.Hotline).CallOut; goes with Order
	Outbox  *sms.Outbox

	Flows      FlowFiles      // of the hotline; nil: there is no page of them
	Questions  *ivr.Questions // rings people who do not text for a rating; nil: it is not found in the API
	RingSurvey func()         // has the list of people who are asked by telephone looked at; nil: nobody is rung
	Reseat     func()         // is told when a seat or a shift has changed; may be nil

	// SayText is what callers hear when prompts of these keys are played, for the way of a call.
	SayText func(keys []string) string

	Oversight *oversee.Desk  // made over Office when nil
	Polls     *poll.Office   // nil: there are no polls
	Figures   *report.Office // of the closed loop; under the settings that ship when nil

	Recordings string // folder below which ivr.Record.Recording lies

	// Trace tells what the legs of a call that is up on this node have done so far; ended calls' are in the database.
	Trace func(id string) (ivr.Record, ivr.Trace, bool)

	// Capture orders the packets of a call to be kept: of the one named that is up, or of the next that comes in.
	Capture func(CaptureOrder) error
	Guard   CallGuard
	Packets ivr.PacketStore // where they are afterwards

	Handset *sim.Carrier // the simulated handset; nil when texts go through a real carrier

	APIToken string                  // a bearer token that the API accepts besides those in the database; may be empty
	Metrics  prometheus.Gatherer     // what GET /metrics shows
	Webhooks map[string]http.Handler // of carriers, by pattern

	// Health tells of each part whether it works; the program knows the parts.
	Health func(ctx context.Context) []Part
}

// Part is one part of the program in GET /healthz.
type Part struct {
	Name   string `json:"name"`   // "storage", "sip", "media", "sms", "schedule"
	OK     bool   `json:"ok"`     //
	Detail string `json:"detail"` // what it does, or what is wrong; no personal data
	Needed bool   `json:"needed"` // without it calls or texts cannot be served
}
