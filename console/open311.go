package console

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/channel"
	"lianxin/workday"
)

// open311 is Open311 GeoReport v2, in JSON and XML. Reading needs no key; a request needs one: a token whose role opens
// tickets, as api_key or as a bearer token. Complaints and reports about persons, confidential requests and those of
// restricted channels are never shown, and a request that is a repeat is answered with the id of the first.
func (s *Server) open311(mux *http.ServeMux) {
	mux.HandleFunc("/open311/v2/", s.geoReport)
}

// geoReport routes by hand: the format is the ending of the last segment.
func (s *Server) geoReport(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/open311/v2/")
	dot := strings.LastIndex(path, ".")
	if dot < 0 || path[dot:] != ".json" && path[dot:] != ".xml" {
		writeProblem(w, http.StatusNotFound, "the address ends in .json or .xml")
		return
	}
	g := georeport{s: s, w: w, r: r, xml: path[dot:] == ".xml"}
	name, id, _ := strings.Cut(path[:dot], "/")
	if id, err := url.PathUnescape(id); err == nil && r.Method == http.MethodPost && name == "requests" && id == "" {
		if !s.throttled(w, r, &s.public.post) {
			g.post()
		}
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET")
		g.fail(http.StatusMethodNotAllowed, "there is no such operation")
		return
	}
	if s.throttled(w, r, &s.public.ask) {
		return
	}
	switch {
	case name == "services" && id == "":
		g.services()
	case name == "services":
		g.definition(id)
	case name == "requests" && id == "":
		g.requests()
	case name == "requests":
		g.request(id)
	case name == "tokens" && id != "":
		g.token(id)
	case name == "discovery" && id == "":
		g.discovery()
	default:
		g.fail(http.StatusNotFound, "there is no such resource")
	}
}

// georeport answers one request.
type georeport struct {
	s   *Server
	w   http.ResponseWriter
	r   *http.Request
	xml bool
}

// answer writes rows under the names that the specification gives them.
func (g georeport) answer(status int, root string, v any) {
	g.w.Header().Set("Cache-Control", "no-store")
	if !g.xml {
		g.w.Header().Set("Content-Type", "application/json; charset=utf-8")
		g.w.WriteHeader(status)
		json.NewEncoder(g.w).Encode(v)
		return
	}
	g.w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	g.w.WriteHeader(status)
	fmt.Fprint(g.w, xml.Header)
	e := xml.NewEncoder(g.w)
	if err := e.EncodeElement(v, xml.StartElement{Name: xml.Name{Local: root}}); err != nil {
		g.s.Log.Warn("open311: encode", "err", err)
	}
}

// fail answers an error as the specification has it.
func (g georeport) fail(status int, description string) {
	type one struct {
		XMLName     xml.Name `json:"-" xml:"error"`
		Code        int      `json:"code" xml:"code"`
		Description string   `json:"description" xml:"description"`
	}
	list := []one{{Code: status, Description: description}}
	if g.xml {
		g.answer(status, "errors", struct{ E []one }{list})
		return
	}
	g.answer(status, "", list)
}

func (g georeport) broken(what string, err error) {
	g.s.Log.Error("open311: "+what, "err", err)
	g.fail(http.StatusInternalServerError, "something went wrong and has been logged")
}

type serviceOut struct {
	XMLName     xml.Name `json:"-" xml:"service"`
	Code        string   `json:"service_code" xml:"service_code"`
	Name        string   `json:"service_name" xml:"service_name"`
	Description string   `json:"description" xml:"description"`
	Metadata    bool     `json:"metadata" xml:"metadata"`
	Type        string   `json:"type" xml:"type"`
	Keywords    string   `json:"keywords" xml:"keywords"`
	Group       string   `json:"group" xml:"group"`
}

func (g georeport) services() {
	var out []serviceOut
	err := g.s.DB.View(g.r.Context(), func(tx *storage.Tx) error {
		all, err := g.s.Gateway.Services(tx)
		for _, x := range all {
			if x.Enabled {
				out = append(out, serviceOut{Code: x.Code, Name: x.Name, Description: x.Description, Metadata: len(x.Attributes) > 0, Type: x.Type, Keywords: x.Keywords, Group: x.Group})
			}
		}
		return err
	})
	if err != nil {
		g.broken("services", err)
		return
	}
	if g.xml {
		g.answer(http.StatusOK, "services", struct{ S []serviceOut }{out})
		return
	}
	g.answer(http.StatusOK, "", out)
}

type valueOut struct {
	XMLName xml.Name `json:"-" xml:"value"`
	Key     string   `json:"key" xml:"key"`
	Name    string   `json:"name" xml:"name"`
}

type attributeOut struct {
	XMLName     xml.Name   `json:"-" xml:"attribute"`
	Variable    bool       `json:"variable" xml:"variable"`
	Code        string     `json:"code" xml:"code"`
	Datatype    string     `json:"datatype" xml:"datatype"`
	Required    bool       `json:"required" xml:"required"`
	Hint        string     `json:"datatype_description" xml:"datatype_description"`
	Order       int        `json:"order" xml:"order"`
	Description string     `json:"description" xml:"description"`
	Values      []valueOut `json:"values,omitempty" xml:"values>value,omitempty"`
}

func (g georeport) definition(code string) {
	var x channel.Service
	err := g.s.DB.View(g.r.Context(), func(tx *storage.Tx) (err error) { x, err = g.s.Gateway.Service(tx, code); return err })
	if errors.Is(err, storage.ErrNotFound) {
		g.fail(http.StatusNotFound, "service_code not found")
		return
	}
	if err != nil {
		g.broken("service", err)
		return
	}
	out := struct {
		Code       string         `json:"service_code" xml:"service_code"`
		Attributes []attributeOut `json:"attributes" xml:"attributes>attribute"`
	}{Code: x.Code, Attributes: []attributeOut{}}
	for i, a := range x.Attributes {
		o := attributeOut{Variable: true, Code: a.Code, Datatype: a.Datatype, Required: a.Required, Order: i + 1, Description: a.Description}
		for _, v := range a.Values {
			o.Values = append(o.Values, valueOut{Key: v.Key, Name: v.Name})
		}
		out.Attributes = append(out.Attributes, o)
	}
	g.answer(http.StatusOK, "service_definition", out)
}

type requestOut struct {
	XMLName   xml.Name `json:"-" xml:"request"`
	ID        string   `json:"service_request_id" xml:"service_request_id"`
	Status    string   `json:"status" xml:"status"`
	Notes     string   `json:"status_notes" xml:"status_notes"`
	Service   string   `json:"service_name" xml:"service_name"`
	Code      string   `json:"service_code" xml:"service_code"`
	Words     string   `json:"description" xml:"description"`
	Agency    string   `json:"agency_responsible" xml:"agency_responsible"`
	Notice    *string  `json:"service_notice" xml:"service_notice"`
	Requested string   `json:"requested_datetime" xml:"requested_datetime"`
	Updated   string   `json:"updated_datetime" xml:"updated_datetime"`
	Expected  *string  `json:"expected_datetime" xml:"expected_datetime"`
	Address   string   `json:"address" xml:"address"`
	AddressID *string  `json:"address_id" xml:"address_id"`
	Zip       *string  `json:"zipcode" xml:"zipcode"`
	Lat       *float64 `json:"lat" xml:"lat"`
	Long      *float64 `json:"long" xml:"long"`
	Media     *string  `json:"media_url" xml:"media_url"`
}

func (g georeport) out(tx *storage.Tx, list []channel.PublicRequest) ([]requestOut, error) {
	all, err := g.s.Gateway.Services(tx)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, x := range all {
		names[x.Code] = x.Name
	}
	out := []requestOut{}
	for _, p := range list {
		t := p.Ticket
		o := requestOut{ID: t.Number, Status: "closed", Notes: p.Notes, Service: names[p.Service], Code: p.Service, Words: maskText(t.Body), Agency: "本溪市公安局", Address: maskText(t.Place),
			Requested: t.ReceivedAt.In(workday.Zone).Format(time.RFC3339), Updated: t.ChangedAt.In(workday.Zone).Format(time.RFC3339), Lat: degrees(p.Lat), Long: degrees(p.Lng)}
		if p.Open {
			o.Status = "open"
		}
		if o.Words == "" {
			o.Words = maskText(t.Title)
		}
		if !p.Expected.IsZero() {
			at := p.Expected.In(workday.Zone).Format(time.RFC3339)
			o.Expected = &at
		}
		out = append(out, o)
	}
	return out, nil
}

func degrees(s string) *float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil
	}
	return &f
}

func (g georeport) list(out []requestOut) {
	if g.xml {
		g.answer(http.StatusOK, "service_requests", struct{ R []requestOut }{out})
		return
	}
	g.answer(http.StatusOK, "", out)
}

func (g georeport) requests() {
	q := g.r.URL.Query()
	split := func(s string) (out []string) {
		for _, x := range strings.Split(s, ",") {
			if x = strings.TrimSpace(x); x != "" && len(out) < 200 {
				out = append(out, x)
			}
		}
		return out
	}
	f := channel.PublicFilter{IDs: split(q.Get("service_request_id")), Services: split(q.Get("service_code")), Status: strings.ToLower(q.Get("status"))}
	if f.Status == "open,closed" || f.Status == "closed,open" {
		f.Status = ""
	}
	if f.Status != "" && f.Status != "open" && f.Status != "closed" {
		g.fail(http.StatusBadRequest, "status is open or closed")
		return
	}
	for name, into := range map[string]*time.Time{"start_date": &f.From, "end_date": &f.To} {
		if text := q.Get(name); text != "" {
			at, err := time.Parse(time.RFC3339, strings.ReplaceAll(text, " ", "+"))
			if err != nil {
				g.fail(http.StatusBadRequest, name+" is no time of the form 2026-11-23T00:00:00+08:00")
				return
			}
			*into = at
		}
	}
	// The specification shows at most 90 days at a time.
	switch {
	case !f.From.IsZero() && f.To.IsZero():
		f.To = f.From.AddDate(0, 0, 90)
	case f.From.IsZero() && !f.To.IsZero():
		f.From = f.To.AddDate(0, 0, -90)
	case !f.From.IsZero() && f.To.Sub(f.From) > 90*24*time.Hour:
		f.To = f.From.AddDate(0, 0, 90)
	}
	if n, err := strconv.Atoi(q.Get("page_size")); err == nil && n > 0 && n <= 1000 {
		f.Limit = n
		if page, err := strconv.Atoi(q.Get("page")); err == nil && page > 1 && page < 1000 {
			f.Offset = (page - 1) * n
		}
	}
	var out []requestOut
	err := g.s.DB.View(g.r.Context(), func(tx *storage.Tx) error {
		list, err := g.s.Gateway.PublicRequests(tx, f)
		if err != nil {
			return err
		}
		out, err = g.out(tx, list)
		return err
	})
	if err != nil {
		g.broken("requests", err)
		return
	}
	g.list(out)
}

func (g georeport) request(id string) {
	var out []requestOut
	err := g.s.DB.View(g.r.Context(), func(tx *storage.Tx) error {
		p, err := g.s.Gateway.PublicRequest(tx, id)
		if err != nil {
			return err
		}
		out, err = g.out(tx, []channel.PublicRequest{p})
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		g.fail(http.StatusNotFound, "service_request_id not found")
		return
	}
	if err != nil {
		g.broken("request", err)
		return
	}
	g.list(out)
}

type createdOut struct {
	XMLName xml.Name `json:"-" xml:"request"`
	ID      *string  `json:"service_request_id,omitempty" xml:"service_request_id,omitempty"`
	Token   *string  `json:"token,omitempty" xml:"token,omitempty"`
	Notice  string   `json:"service_notice" xml:"service_notice"`
	Account *string  `json:"account_id" xml:"account_id"`
}

func (g georeport) token(token string) {
	var number string
	err := g.s.DB.View(g.r.Context(), func(tx *storage.Tx) (err error) { number, err = g.s.Gateway.OfToken(tx, token); return err })
	if errors.Is(err, storage.ErrNotFound) {
		g.fail(http.StatusNotFound, "token not found")
		return
	}
	if err != nil {
		g.broken("token", err)
		return
	}
	type out struct {
		XMLName xml.Name `json:"-" xml:"request"`
		ID      string   `json:"service_request_id" xml:"service_request_id"`
		Token   string   `json:"token" xml:"token"`
	}
	list := []out{{ID: number, Token: token}}
	if g.xml {
		g.answer(http.StatusOK, "service_requests", struct{ R []out }{list})
		return
	}
	g.answer(http.StatusOK, "", list)
}

// post takes a service request: form fields as the specification names them, attributes as attribute[code].
func (g georeport) post() {
	s, r := g.s, g.r
	r.Body = http.MaxBytesReader(g.w, r.Body, 1<<20)
	if err := r.ParseForm(); err != nil {
		g.fail(http.StatusBadRequest, "the form cannot be read")
		return
	}
	key := r.Form.Get("api_key")
	if scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " "); key == "" && strings.EqualFold(scheme, "Bearer") {
		key = strings.TrimSpace(secret)
	}
	if key == "" {
		g.fail(http.StatusForbidden, "api_key was not provided")
		return
	}
	t, err := s.checkToken(r.Context(), key)
	if errors.Is(err, org.ErrBadToken) || err == nil && !t.Can(org.OpenTicket) {
		g.fail(http.StatusForbidden, "api_key is not valid")
		return
	}
	if err != nil {
		g.broken("check the key", err)
		return
	}
	get := func(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }
	var x channel.Service
	err = s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { x, err = s.Gateway.Service(tx, get("service_code")); return err })
	if errors.Is(err, storage.ErrNotFound) {
		g.fail(http.StatusBadRequest, "service_code was not provided or is not known")
		return
	}
	if err != nil {
		g.broken("service", err)
		return
	}
	lat, long, address := get("lat"), get("long"), get("address_string")
	if (lat == "" || long == "") && address == "" && get("address_id") == "" {
		g.fail(http.StatusBadRequest, "lat and long, or address_string, are needed")
		return
	}
	if !coordinate(lat, 90) || !coordinate(long, 180) {
		g.fail(http.StatusBadRequest, "lat and long are decimal degrees (WGS 84)")
		return
	}
	body := get("description")
	var extra []string
	for _, a := range x.Attributes {
		values := r.PostForm["attribute["+a.Code+"]"]
		values = append(values, r.PostForm["attribute["+a.Code+"][]"]...)
		var shown []string
		for _, v := range values {
			name := v
			known := len(a.Values) == 0
			for _, c := range a.Values {
				if c.Key == v {
					name, known = c.Name, true
				}
			}
			if !known {
				g.fail(http.StatusBadRequest, "attribute["+a.Code+"] has a value that is not in its list")
				return
			}
			if v != "" {
				shown = append(shown, name)
			}
		}
		if a.Required && len(shown) == 0 {
			g.fail(http.StatusBadRequest, "attribute["+a.Code+"] is needed")
			return
		}
		if len(shown) > 0 {
			extra = append(extra, a.Description+"："+strings.Join(shown, "、"))
		}
	}
	if body == "" && len(extra) == 0 {
		g.fail(http.StatusBadRequest, "description is needed")
		return
	}
	var pictures []channel.File
	unfetched := ""
	if media := get("media_url"); media != "" {
		f, err := s.Pictures.Fetch(r.Context(), media)
		if err != nil {
			unfetched = err.Error()
			extra = append(extra, "附图（未取回）："+media)
		} else {
			pictures = append(pictures, f)
			extra = append(extra, "附图："+media)
		}
	}
	raw := map[string][]string{}
	for k, v := range r.PostForm {
		if k != "api_key" {
			raw[k] = v
		}
	}
	original, err := json.Marshal(raw)
	if err != nil {
		g.broken("encode", err)
		return
	}
	name := strings.TrimSpace(get("last_name") + get("first_name"))
	d := channel.Delivery{Channel: "open311", Title: x.Name, Body: strings.TrimSpace(body + "\n" + strings.Join(extra, "\n")), Kind: string(x.Kind), Place: address, Name: name, Phone: get("phone"), Mail: get("email"), Raw: original, Files: pictures}
	sub := channel.Submission{Delivery: d, Service: x.Code, Lat: lat, Lng: long, Open: x.Type != "blackbox", Digest: digestOf(t.ID, r.PostForm)}
	var rec channel.Receipt
	err = s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		rec, err = s.Gateway.Submit(tx, sub, ticket.Token(t))
		return err
	})
	if refusal, refused := ticket.RefusedWith(err); refused {
		g.fail(http.StatusBadRequest, refusal.Message)
		return
	}
	if err != nil {
		g.broken("post", err)
		return
	}
	s.Hub.Publish(EventTickets)
	out := createdOut{Notice: "查询码 " + rec.Code + "（凭编号和查询码在 /p/look 查询进度）"}
	if rec.Existing {
		out.Notice = "该诉求此前已登记，未重复登记"
	}
	if unfetched != "" {
		out.Notice += "；media_url " + unfetched + "，已记录网址"
	}
	if x.Type == "batch" {
		out.Token = &rec.TicketID
	} else {
		out.ID = &rec.Number
	}
	if g.xml {
		g.answer(http.StatusCreated, "service_requests", struct{ R []createdOut }{[]createdOut{out}})
		return
	}
	g.answer(http.StatusCreated, "", []createdOut{out})
}

// digestOf is what a repeat of a request is known by: all that was sent, and by whose key.
func digestOf(key string, form url.Values) string {
	names := make([]string, 0, len(form))
	for k := range form {
		if k != "api_key" {
			names = append(names, k)
		}
	}
	sort.Strings(names)
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", key)
	for _, k := range names {
		fmt.Fprintf(h, "%q %q\n", k, form[k])
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (g georeport) discovery() {
	type endpoint struct {
		XMLName xml.Name `json:"-" xml:"endpoint"`
		Spec    string   `json:"specification" xml:"specification"`
		URL     string   `json:"url" xml:"url"`
		Type    string   `json:"type" xml:"type"`
		Formats []string `json:"formats" xml:"formats>format"`
	}
	out := struct {
		Changeset string     `json:"changeset" xml:"changeset"`
		Contact   string     `json:"contact" xml:"contact"`
		Key       string     `json:"key_service" xml:"key_service"`
		Endpoints []endpoint `json:"endpoints" xml:"endpoints>endpoint"`
	}{Changeset: "2026-11-27T00:00:00+08:00", Contact: "民意感知中心 46110110", Key: "向民意感知中心申请",
		Endpoints: []endpoint{{Spec: "http://wiki.open311.org/GeoReport_v2", URL: strings.TrimSuffix(g.s.Gateway.PublicURL, "/") + "/open311/v2", Type: "production", Formats: []string{"application/json", "text/xml"}}}}
	g.answer(http.StatusOK, "discovery", out)
}
