package console

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/channel"
)

func (s *Server) channelRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /channels", s.may(org.ManageRules, s.channelsPage))
	mux.HandleFunc("POST /channels", s.may(org.ManageRules, s.putChannel))
	mux.HandleFunc("POST /channels/services", s.may(org.ManageRules, s.putService))
}

type channelsView struct {
	Channels []ticket.Channel
	Limits   map[string]string // of Channel.Intake, in words
	Services []channel.Service
	Form     ticket.Channel
	Minutes  string // of Form.Intake
	New      bool
	Service  *channel.Service // being changed
	Attrs    string
	Kinds    []ticket.ChannelKind
	Ident    []ticket.Identity
	TKinds   []ticket.Kind
	Error    string
}

func (s *Server) readChannels(tx *storage.Tx, r *http.Request) (v channelsView, err error) {
	v = channelsView{Kinds: ticket.ChannelKinds, Ident: ticket.Identities, TKinds: ticket.Kinds, New: true, Form: ticket.Channel{Enabled: true, ByHand: true, Place: 200, Kind: ticket.ExternalChannel, Identity: ticket.IdentityOptional}}
	if v.Channels, err = s.Office.Channels(tx); err != nil {
		return v, err
	}
	if v.Services, err = s.Gateway.Services(tx); err != nil {
		return v, err
	}
	v.Limits = map[string]string{}
	for _, c := range v.Channels {
		if v.Limits[c.Code] = "—"; c.Intake > 0 {
			v.Limits[c.Code] = shortSpan(s.lang(r), c.Intake)
		}
		if c.Code == r.URL.Query().Get("edit") {
			v.Form, v.New = c, false
		}
	}
	for _, x := range v.Services {
		if x.Code == r.URL.Query().Get("service") {
			v.Service = &x
		}
	}
	if v.Service == nil && r.URL.Query().Get("service") == "new" {
		v.Service = &channel.Service{Type: "realtime", Kind: ticket.Help, Enabled: true, Place: 100}
	}
	if v.Service != nil && len(v.Service.Attributes) > 0 {
		b, _ := json.MarshalIndent(v.Service.Attributes, "", " ") // plain data
		v.Attrs = string(b)
	}
	v.Minutes = strconv.FormatFloat(v.Form.Intake.Minutes(), 'f', -1, 64)
	return v, nil
}

func (s *Server) channelsPage(w http.ResponseWriter, r *http.Request, u *user) {
	var v channelsView
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { v, err = s.readChannels(tx, r); return err })
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "channels", "", "channels", v)
}

// putChannel adds a channel or changes one; it holds at once, everywhere.
func (s *Server) putChannel(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	place, _ := strconv.Atoi(in.text("place"))
	minutes, err := strconv.ParseFloat(in.text("intake"), 64)
	if in.text("intake") == "" {
		minutes, err = 0, nil
	}
	c := ticket.Channel{Code: in.text("code"), Name: in.text("name"), Place: place, External: in.on("external"), Restricted: in.on("restricted"), Enabled: in.on("enabled"),
		Kind: ticket.ChannelKind(in.text("kind")), Identity: ticket.Identity(in.text("identity")), Intake: time.Duration(minutes * float64(time.Minute)), PublicReply: in.on("public_reply"), ByHand: in.on("by_hand")}
	if err != nil || minutes < 0 || minutes > 60*24*30 {
		s.channelsRefused(w, r, c, in, &ticket.Refusal{Code: "intake", Message: "接入时限以分钟填写，可以是小数，不超过30天"})
		return
	}
	err = s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		if in.on("new") {
			if _, err := s.Office.Channel(tx, c.Code); err == nil {
				return &ticket.Refusal{Code: "taken", Message: "已有代码为“" + c.Code + "”的渠道"}
			}
		}
		return s.Office.PutChannel(tx, c, ticket.Staff(u.Staff))
	})
	if refusal, refused := ticket.RefusedWith(err); refused {
		s.channelsRefused(w, r, c, in, refusal)
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.Hub.Publish(EventTickets)
	s.done(w, r, "/channels", translate(s.lang(r), "channel-kept", c.Name))
}

func (s *Server) channelsRefused(w http.ResponseWriter, r *http.Request, c ticket.Channel, in input, why *ticket.Refusal) {
	var v channelsView
	if err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { v, err = s.readChannels(tx, r); return err }); err != nil {
		s.fail(w, r, err)
		return
	}
	v.Form, v.New, v.Minutes, v.Error = c, in.on("new"), in.text("intake"), why.Message
	s.render(w, r, statusOf(why), "channels", "", "channels", v)
}

// putService adds a service of Open311 or changes one.
func (s *Server) putService(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	place, _ := strconv.Atoi(in.text("place"))
	x := channel.Service{Code: in.text("code"), Name: in.text("name"), Description: in.text("description"), Kind: ticket.Kind(in.text("kind")), Type: in.text("type"),
		Keywords: in.text("keywords"), Group: in.text("group"), Place: place, Enabled: in.on("enabled")}
	err := error(nil)
	if text := in.text("attributes"); text != "" {
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		if d.Decode(&x.Attributes) != nil {
			err = &ticket.Refusal{Code: "attributes", Message: "附加字段须是JSON数组：[{\"code\":…,\"datatype\":\"string\",\"required\":false,\"description\":…}]"}
		}
	}
	if err == nil {
		err = s.DB.Update(r.Context(), func(tx *storage.Tx) error { return s.Gateway.PutService(tx, x, ticket.Staff(u.Staff)) })
	}
	refusal, refused := ticket.RefusedWith(err)
	switch {
	case refused:
		var v channelsView
		if err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { v, err = s.readChannels(tx, r); return err }); err != nil {
			s.fail(w, r, err)
			return
		}
		v.Service, v.Attrs, v.Error = &x, in.text("attributes"), refusal.Message
		s.render(w, r, statusOf(refusal), "channels", "", "channels", v)
	case err != nil:
		s.fail(w, r, err)
	default:
		s.done(w, r, "/channels", translate(s.lang(r), "channel-kept", x.Name))
	}
}
