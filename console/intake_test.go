package console

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/channel"
)

// token makes a token of the API with a role.
func (h *house) token(role org.Role) (secret string) {
	h.t.Helper()
	h.update(func(tx *storage.Tx) (err error) {
		secret, _, err = org.Register{Now: h.now}.NewToken(tx, org.Token{Name: string(role), Role: role}, "system")
		return err
	})
	return secret
}

// call sends a request of a program.
func (h *house) program(method, path, token, body string) (int, string) {
	h.t.Helper()
	r, err := http.NewRequest(method, h.http.URL+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	} else if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	data, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(data)
}

// stranger is somebody who has not signed in.
func (h *house) stranger() *browser {
	return &browser{h: h, login: "-", client: &http.Client{}}
}

var inputPattern = regexp.MustCompile(`name="challenge" value="([^"]*)"`)

// fresh lets a test post as often as it likes.
func (h *house) fresh() { h.s.public = newPublicLimits() }

func TestAChannelAddedOnThePageIsThereAtOnceEverywhere(t *testing.T) {
	h := newHouse(t)
	admin := h.as("admin1")
	p := admin.post("/channels", form("new", "1", "code", "radio", "name", "行风热线", "kind", "external", "identity", "optional", "intake", "30", "place", "75", "external", "1", "by_hand", "1", "enabled", "1"))
	if p.status != http.StatusOK || !strings.Contains(p.body, "行风热线") {
		t.Fatalf("%d %s", p.status, alertIn(p.body))
	}
	if p := h.as("operator1").get("/tickets/new"); !strings.Contains(p.body, "行风热线") {
		t.Error("staff cannot register by it")
	}
	if p := h.as("supervisor1").get("/imports"); !strings.Contains(p.body, "行风热线") {
		t.Error("no file of it can be imported")
	}
	k := h.open(ticket.Intake{Channel: "radio", ExternalID: "R1", Title: "电台来件", Body: "内容"})
	for _, path := range []string{"/tickets", "/inbox"} {
		if p := h.as("supervisor1").get(path); !strings.Contains(p.body, "行风热线") || !strings.Contains(p.body, k.Number) {
			t.Errorf("%s does not show it", path)
		}
	}
	admin.post("/channels", form("code", "radio", "name", "阳光热线", "kind", "external", "identity", "optional", "place", "75", "external", "1"))
	if p := h.as("supervisor1").get("/tickets/" + k.ID); !strings.Contains(p.body, "阳光热线") {
		t.Error("it was renamed and is called as before")
	}
	if p := h.as("operator1").get("/tickets/new"); strings.Contains(p.body, "阳光热线") {
		t.Error("it was closed and is still offered")
	}
	if p := admin.post("/channels", form("new", "1", "code", "radio", "name", "重复", "kind", "external", "identity", "optional")); p.status != http.StatusUnprocessableEntity && p.status != http.StatusConflict {
		t.Errorf("a second channel of the same code: %d", p.status)
	}
	if p := h.as("operator1").get("/channels"); p.status != http.StatusForbidden {
		t.Errorf("an operator manages channels: %d", p.status)
	}
}

func (b *browser) uploads(path string, fields map[string]string, name string, content []byte) answer {
	b.h.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for k, v := range fields {
		w.WriteField(k, v)
	}
	if name != "" {
		f, _ := w.CreateFormFile("file", name)
		f.Write(content)
	}
	w.Close()
	r, err := http.NewRequest("POST", b.h.http.URL+path, &body)
	if err != nil {
		b.h.t.Fatal(err)
	}
	r.Header.Set("Content-Type", w.FormDataContentType())
	return b.send(r)
}

func TestTheWizardMapsTriesImportsAndGivesTheRestBack(t *testing.T) {
	h := newHouse(t)
	b := h.as("supervisor1")
	file := "序,网友姓名,留言正文,何时,手机\n1,王小明,希望增设信号灯,2026-11-22,13912345678\n,李四,没有编号,2026-11-22,13912345679\n"
	p := b.uploads("/imports", map[string]string{"channel": "people"}, "留言.csv", []byte(file))
	if p.status != http.StatusOK || !strings.HasSuffix(p.path, "/map") {
		t.Fatalf("%d %s %s", p.status, p.path, alertIn(p.body))
	}
	if strings.Contains(p.body, "13912345678") {
		t.Error("the sample shows a number")
	}
	base := strings.TrimSuffix(p.path, "/map")
	columns := url.Values{"heading": {"序", "网友姓名", "留言正文", "何时", "手机"}, "field": {"external_id", "name", "body", "received_at", "phone"}}
	bad := url.Values{"heading": columns["heading"], "field": {"", "name", "", "", ""}, "go": {"dry"}}
	if p := b.post(base+"/run", bad); p.status != http.StatusUnprocessableEntity || !strings.Contains(alertIn(p.body), "标题或内容") {
		t.Errorf("%d %s", p.status, alertIn(p.body))
	}
	columns.Set("go", "dry")
	if p := b.post(base+"/run", columns); p.status != http.StatusOK || !strings.Contains(p.body, "试算") || !strings.Contains(p.body, "缺来源编号") {
		t.Errorf("dry run: %d %s", p.status, alertIn(p.body))
	}
	if p := b.get("/tickets?q=" + url.QueryEscape("增设信号灯")); !strings.Contains(p.body, "没有符合条件") {
		t.Error("a dry run kept something")
	}
	columns.Set("go", "import")
	p = b.post(base+"/run", columns)
	if p.status != http.StatusOK {
		t.Fatalf("%d %s", p.status, alertIn(p.body))
	}
	report := regexp.MustCompile(`/imports/[^"]+/report`).FindString(p.body)
	got := b.get(report)
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(got.body, "\uFEFF"))).ReadAll()
	if err != nil || len(rows) != 2 || rows[1][6] != "缺来源编号" {
		t.Fatalf("%q %v", rows, err)
	}
	// The mended lines are pasted; the columns are remembered.
	rows[1][0] = "2"
	pasted := strings.Join(rows[0], "\t") + "\n" + strings.Join(rows[1], "\t") + "\n"
	p = b.uploads("/imports", map[string]string{"channel": "people", "paste": pasted}, "", nil)
	for _, want := range []string{`<option value="body" selected>`, `<option value="external_id" selected>`} {
		if !strings.Contains(p.body, want) {
			t.Errorf("the columns were not remembered: %s", want)
		}
	}
	columns["heading"], columns["field"] = rows[0], []string{"external_id", "name", "body", "received_at", "phone", "", "", ""}
	if p := b.post(strings.TrimSuffix(p.path, "/map")+"/run", columns); p.status != http.StatusOK {
		t.Errorf("%d %s", p.status, alertIn(p.body))
	}
	if p := b.get("/inbox?channel=people"); strings.Count(p.body, "/source\">") != 2 {
		t.Errorf("the inbox holds %d", strings.Count(p.body, "/source\">"))
	}
	// Others do not get at it.
	if p := h.as("caller1").get(report); p.status != http.StatusNotFound && p.status != http.StatusForbidden {
		t.Errorf("somebody else reads the report: %d", p.status)
	}
}

func TestOriginalsAreReadForAReasonOnlyAndLogged(t *testing.T) {
	h := newHouse(t)
	var k channel.Taken
	raw := []byte("From: wang@example.com\r\nSubject: test\r\nDate: Mon, 23 Nov 2026 09:00:00 +0800\r\n\r\nphone 13912345678")
	h.do(func(tx *storage.Tx) (err error) {
		k, err = h.gateway.Take(tx, channel.Delivery{Channel: "mailbox", ExternalID: "m1", Title: "来信", Body: "phone 13912345678", Mail: "wang@example.com", Raw: raw,
			Files: []channel.File{{Name: "照片.jpg", Media: "image/jpeg", Data: []byte("jpeg")}}}, ticket.System)
		return err
	})
	b := h.as("dispatcher1")
	path := "/tickets/" + k.ID + "/source"
	if p := b.get(path); p.status != http.StatusOK || strings.Contains(p.body, "13912345678") {
		t.Errorf("%d", p.status)
	}
	if p := b.post(path+"/reveal", form("reason", "")); p.status != http.StatusUnprocessableEntity || strings.Contains(p.body, "13912345678") {
		t.Errorf("without a reason: %d", p.status)
	}
	if p := b.post(path+"/reveal", form("reason", "核实来信")); !strings.Contains(p.body, "13912345678") || !strings.Contains(p.body, "wang@example.com") {
		t.Error("the original is not shown")
	}
	p := b.post(path+"/original", form("reason", "核实来信", "n", "0"))
	if p.body != string(raw) || !strings.Contains(p.header.Get("Content-Disposition"), ".eml") {
		t.Errorf("download: %q %v", p.body, p.header)
	}
	if p := h.as("auditor1").post(path+"/reveal", form("reason", "核实来信")); p.status != http.StatusForbidden {
		t.Errorf("an auditor: %d", p.status)
	}
	h.view(func(tx *storage.Tx) error {
		events, err := audit.Stream(tx, "reveal/"+k.ID)
		if len(events) != 2 || !strings.Contains(string(events[0].Payload), "核实来信") {
			t.Errorf("%d events", len(events))
		}
		return err
	})
	// 批示, and the incident, from the same page.
	if p := h.as("leader1").post(path+"/instruct", form("text", "请站前所三日内报结果")); !strings.Contains(p.body, "请站前所三日内报结果") {
		t.Errorf("%d", p.status)
	}
	if p := b.post(path+"/instruct", form("text", "越权")); p.status != http.StatusUnprocessableEntity {
		t.Errorf("a dispatcher instructs: %d", p.status)
	}
	b.post(path+"/incident", form("incident", "J20261123001"))
	if p := b.get("/incidents/J20261123001"); !strings.Contains(p.body, k.Number) {
		t.Error("the incident does not show the request")
	}
	if p := b.get("/tickets/" + k.ID); !strings.Contains(p.body, "J20261123001") {
		t.Error("the request does not show the incident")
	}
}

func (h *house) solved(fields ...string) url.Values {
	p := h.stranger().get("/p")
	c := inputPattern.FindStringSubmatch(p.body)
	if c == nil {
		h.t.Fatal("no challenge on the form")
	}
	v := form(fields...)
	v.Set("challenge", c[1])
	v.Set("proof", channel.Solve(c[1]))
	return v
}

var numberPattern = regexp.MustCompile(`民\d{4}-\d{4}-\d{4}`)
var codePattern = regexp.MustCompile(`name="code" value="([A-Z0-9]{8})"`)

func TestThePublicFormGivesANumberAndACodeAndIsThrottled(t *testing.T) {
	h := newHouse(t)
	b := h.stranger()
	in := h.solved("body", "我家楼下烧烤店营业到凌晨，很吵", "phone", "13912345678", "name", "王小明", "kind", "help", "place", "平山路1号")
	p := b.post("/p", in)
	number, code := numberPattern.FindString(p.body), codePattern.FindStringSubmatch(p.body)
	if p.status != http.StatusOK || number == "" || code == nil {
		t.Fatalf("%d %s", p.status, alertIn(p.body))
	}
	if again := b.post("/p", in); numberPattern.FindString(again.body) != number {
		t.Error("the same form sent twice made two requests")
	} else {
		code = codePattern.FindStringSubmatch(again.body)
	}
	look := b.post("/p/look", form("number", number, "code", code[1]))
	if look.status != http.StatusOK || !strings.Contains(look.body, "待受理") || !strings.Contains(look.body, "我们承诺在") || strings.Contains(look.body, "13912345678") {
		t.Errorf("%d", look.status)
	}
	if p := b.post("/p/look", form("number", number, "code", "AAAAAAAA")); p.status != http.StatusNotFound || strings.Contains(p.body, "烧烤") {
		t.Errorf("a wrong code: %d", p.status)
	}
	if p := b.post("/p", form("body", "没有证明的提交内容")); p.status != http.StatusUnprocessableEntity {
		t.Errorf("without a proof: %d", p.status)
	}
	if p := b.post("/p", h.solved("body", "短")); p.status != http.StatusUnprocessableEntity {
		t.Errorf("too short: %d", p.status)
	}
	h.fresh()
	throttled, taken := 0, 0
	for i := range 100 {
		switch p := b.post("/p", form("body", fmt.Sprintf("第%d次提交的内容", i))); p.status {
		case http.StatusTooManyRequests:
			throttled++
			if p.header.Get("Retry-After") == "" {
				t.Error("no word of when to try again")
			}
		default:
			taken++
		}
	}
	if throttled < 80 || taken < 10 {
		t.Errorf("of 100 posts %d were throttled", throttled)
	}
	h.fresh()
	if p := b.post("/p", h.solved("body", "正常提交的一条诉求")); p.status != http.StatusOK {
		t.Errorf("a normal post: %d %s", p.status, alertIn(p.body))
	}
	// The mailbox of the director on the web is the same door.
	p = b.post("/p/mail", h.solved("body", "局长您好，反映窗口排队时间长"))
	if k := h.byNumber(numberPattern.FindString(p.body)); k.Channel != "mailbox" {
		t.Errorf("%d, channel %q", p.status, k.Channel)
	}
}

func (h *house) byNumber(number string) (t ticket.Ticket) {
	h.t.Helper()
	h.view(func(tx *storage.Tx) (err error) { t, err = h.office.Get(tx, number); return err })
	return t
}

func TestARatingLinkOnThePageIsGoodOnce(t *testing.T) {
	h := newHouse(t)
	who := h.person("13912345678", "王小明")
	k := h.open(ticket.Intake{Channel: "web", Kind: ticket.Inquiry, ContactID: who, By: ticket.System})
	var token string
	h.do(func(tx *storage.Tx) (err error) {
		if _, err = h.office.Answer(tx, k.ID, ticket.Reply{Text: "请带身份证到派出所办理", Via: "web"}, h.actor("operator1")); err != nil {
			return err
		}
		token, err = h.gateway.RatingLink(tx, k.ID)
		return err
	})
	b := h.stranger()
	if p := b.get("/p/rate/" + token); p.status != http.StatusOK || !strings.Contains(p.body, "请带身份证") {
		t.Errorf("%d", p.status)
	}
	if p := b.post("/p/rate/"+token, form("stars", "5", "words", "很好")); p.status != http.StatusOK {
		t.Errorf("%d", p.status)
	}
	if p := b.post("/p/rate/"+token, form("stars", "1")); p.status != http.StatusGone {
		t.Errorf("used again: %d", p.status)
	}
	if got := h.get(k.ID); got.State != ticket.Closed || got.Stars != 5 {
		t.Errorf("%s %d", got.State, got.Stars)
	}
}

func TestTheMiniProgrammeSpeaksJSON(t *testing.T) {
	h := newHouse(t)
	status, body := h.program("GET", "/api/public/v1/challenge", "", "")
	var c struct {
		Challenge string
		Bits      int
	}
	if json.Unmarshal([]byte(body), &c) != nil || status != 200 || c.Bits == 0 {
		t.Fatalf("%d %s", status, body)
	}
	in, _ := json.Marshal(map[string]any{"kind": "help", "body": "路灯不亮已经三周了", "phone": "13912345678", "lat": "41.29", "lng": "123.76", "challenge": c.Challenge, "proof": channel.Solve(c.Challenge)})
	status, body = h.program("POST", "/api/public/v1/requests", "", string(in))
	var rec struct{ Number, Code string }
	if json.Unmarshal([]byte(body), &rec) != nil || status != 201 || rec.Code == "" {
		t.Fatalf("%d %s", status, body)
	}
	if k := h.byNumber(rec.Number); k.Channel != "mini" || k.ContactID == "" {
		t.Errorf("%+v", k)
	}
	look, _ := json.Marshal(map[string]any{"number": rec.Number, "code": rec.Code, "text": "昨晚又坏了一盏"})
	if status, body := h.program("POST", "/api/public/v1/requests/add", "", string(look)); status != 200 || !strings.Contains(body, `"promised_at"`) {
		t.Errorf("%d %s", status, body)
	}
	if status, body := h.program("POST", "/api/public/v1/requests/withdraw", "", string(look)); status != 200 || !strings.Contains(body, "已撤回") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := h.program("POST", "/api/public/v1/requests", "", `{"body":"没有证明的内容"}`); status != 422 {
		t.Errorf("without a proof: %d", status)
	}
}

func TestGeoReportKeepsToTheSpecification(t *testing.T) {
	h := newHouse(t)
	key := h.token(org.Citizen)
	get := func(path string) (int, string) { h.fresh(); return h.program("GET", "/open311/v2/"+path, "", "") }
	status, body := get("services.json")
	var services []map[string]any
	if json.Unmarshal([]byte(body), &services) != nil || status != 200 || len(services) != 7 || services[0]["service_code"] != "noise" || services[0]["metadata"] != true {
		t.Fatalf("%d %s", status, body)
	}
	status, body = get("services.xml")
	var sx struct {
		Service []struct {
			Code string `xml:"service_code"`
			Type string `xml:"type"`
		} `xml:"service"`
	}
	if xml.Unmarshal([]byte(body), &sx) != nil || status != 200 || len(sx.Service) != 7 || sx.Service[6].Type != "blackbox" {
		t.Errorf("%d %s", status, body)
	}
	if status, body = get("services/noise.json"); status != 200 || !strings.Contains(body, `"datatype":"singlevaluelist"`) || !strings.Contains(body, `"key":"night"`) {
		t.Errorf("%d %s", status, body)
	}
	if status, _ = get("services/none.json"); status != 404 {
		t.Errorf("%d", status)
	}
	post := func(format string, fields ...string) (int, string) {
		h.fresh()
		return h.program("POST", "/open311/v2/requests."+format, "", form(fields...).Encode())
	}
	noise := []string{"api_key", key, "service_code", "noise", "attribute[when]", "night", "lat", "41.29", "long", "123.76", "description", "楼下夜间施工，联系人王小明电话13912345678", "phone", "13912345678", "first_name", "小明", "last_name", "王"}
	if status, body := post("json", noise[2:]...); status != 403 || !strings.Contains(body, "api_key") {
		t.Errorf("without a key: %d %s", status, body)
	}
	status, body = post("json", noise...)
	var made []struct {
		ID string `json:"service_request_id"`
	}
	if json.Unmarshal([]byte(body), &made) != nil || status != 201 || len(made) != 1 || made[0].ID == "" {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := post("json", noise...); status != 201 || !strings.Contains(body, made[0].ID) {
		t.Errorf("a repeat: %d %s", status, body)
	}
	for what, fields := range map[string][]string{
		"no service": {"api_key", key, "description", "x", "lat", "1", "long", "1"}, "no place": {"api_key", key, "service_code", "hazard", "description", "井盖破损严重"},
		"no attribute": {"api_key", key, "service_code", "noise", "description", "x", "lat", "1", "long", "1"}, "wrong attribute": {"api_key", key, "service_code", "noise", "attribute[when]", "dawn", "description", "x", "lat", "1", "long", "1"},
	} {
		if status, _ := post("json", fields...); status != 400 {
			t.Errorf("%s: %d", what, status)
		}
	}
	// What is never shown: a report, a complaint, and a request that became confidential or accuses somebody.
	_, hidden := post("json", "api_key", key, "service_code", "crime", "address_string", "平山路2号", "description", "有人赌博")
	_, conduct := post("json", "api_key", key, "service_code", "conduct", "address_string", "平山路2号", "description", "民警态度差")
	_, later := post("xml", "api_key", key, "service_code", "hazard", "address_string", "平山路3号", "description", "消防通道被占")
	secret := numberPattern.FindString(later)
	yes := true
	h.do(func(tx *storage.Tx) error {
		_, err := h.office.Amend(tx, h.idOf(tx, secret), ticket.Amendment{Confidential: &yes}, h.actor("dispatcher1"))
		return err
	})
	status, body = get("requests.json")
	var list []map[string]any
	if json.Unmarshal([]byte(body), &list) != nil || status != 200 || len(list) != 1 || list[0]["status"] != "open" || list[0]["lat"] != 41.29 {
		t.Fatalf("%d %s", status, body)
	}
	if _, err := time.Parse(time.RFC3339, list[0]["requested_datetime"].(string)); err != nil || !strings.HasSuffix(list[0]["requested_datetime"].(string), "+08:00") {
		t.Errorf("%v", list[0]["requested_datetime"])
	}
	for _, text := range []string{"13912345678", "王小明", "赌博", "态度差", "消防通道", numberPattern.FindString(hidden), numberPattern.FindString(conduct)} {
		if text != "" && strings.Contains(body, text) {
			t.Errorf("the list shows %s", text)
		}
	}
	for _, number := range []string{numberPattern.FindString(hidden), numberPattern.FindString(conduct), secret} {
		if status, _ := get("requests/" + url.PathEscape(number) + ".json"); status != 404 {
			t.Errorf("%s can be read: %d", number, status)
		}
	}
	if status, body := get("requests/" + url.PathEscape(made[0].ID) + ".xml"); status != 200 || !strings.Contains(body, "<service_requests><request>") {
		t.Errorf("%d %s", status, body)
	}
	h.do(func(tx *storage.Tx) error {
		_, err := h.office.Refuse(tx, h.idOf(tx, made[0].ID), "elsewhere", ticket.Reply{Text: "请向城管反映", Via: "web"}, h.actor("dispatcher1"))
		return err
	})
	if _, body := get("requests.json?status=closed&service_code=noise"); !strings.Contains(body, `"status":"closed"`) || !strings.Contains(body, "不予受理") {
		t.Errorf("%s", body)
	}
	if _, body := get("requests.json?status=open"); strings.Contains(body, made[0].ID) {
		t.Errorf("%s", body)
	}
	if status, _ := get("requests.json?start_date=yesterday"); status != 400 {
		t.Errorf("%d", status)
	}
}

func (h *house) idOf(tx *storage.Tx, number string) string {
	k, err := h.office.Get(tx, number)
	if err != nil {
		h.t.Fatal(err)
	}
	return k.ID
}

func TestOtherBodiesHandOverAskAndTakeBack(t *testing.T) {
	h := newHouse(t)
	token := h.token(org.Dispatcher)
	item := `{"external_id":"DH/1","received_at":"2026-11-23T09:00:00+08:00","due":"2026-11-25T17:00:00+08:00","title":"井盖破损","body":"平山路井盖破损","kind":"求助","phone":"13912345678","incident":"J1"}`
	status, body := h.program("POST", "/api/v1/exchange/12345/items", token, item)
	if status != 201 {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := h.program("POST", "/api/v1/exchange/12345/items", token, item); status != 200 || !strings.Contains(body, `"known":true`) {
		t.Errorf("again: %d %s", status, body)
	}
	path := "/api/v1/exchange/12345/items/DH%2F1"
	if status, body := h.program("GET", path, token, ""); status != 200 || !strings.Contains(body, `"state":"NEW"`) || strings.Contains(body, "13912345678") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := h.program("POST", path+"/status", token, `{"status":"urged","text":"群众催问"}`); status != 200 {
		t.Errorf("urge: %d", status)
	}
	if status, body := h.program("GET", "/api/v1/incidents/J1", token, ""); status != 200 || !strings.Contains(body, "DH/1") {
		t.Errorf("incident: %d %s", status, body)
	}
	if status, body := h.program("POST", path+"/status", token, `{"status":"withdrawn","text":"群众撤回"}`); status != 200 || !strings.Contains(body, "WITHDRAWN") {
		t.Errorf("withdraw: %d %s", status, body)
	}
	for what, bad := range map[string]string{"no number": `{"title":"x"}`, "future": `{"external_id":"F","title":"x","received_at":"2031-01-01T00:00:00Z"}`, "due before": `{"external_id":"D","title":"x","received_at":"2026-11-23T09:00:00Z","due":"2026-11-01T00:00:00Z"}`} {
		if status, _ := h.program("POST", "/api/v1/exchange/12345/items", token, bad); status != 422 {
			t.Errorf("%s: %d", what, status)
		}
	}
	// The restricted seat's channel is not there for others.
	if status, _ := h.program("POST", "/api/v1/exchange/12389/items", token, `{"external_id":"J","title":"举报"}`); status != 404 {
		t.Errorf("12389 through a dispatcher's token: %d", status)
	}
	seat := h.token(org.Inspector)
	if status, body := h.program("POST", "/api/v1/exchange/12389/items", seat, `{"external_id":"J","title":"举报民警","accused_unit":"站前派出所"}`); status != 201 {
		t.Errorf("12389 through its seat: %d %s", status, body)
	}
	if status, _ := h.program("GET", "/api/v1/exchange/12389/items/J", token, ""); status != 404 {
		t.Errorf("a dispatcher reads the seat's: %d", status)
	}
}

func TestTheAPIRevealsForAReasonThatIsLogged(t *testing.T) {
	h := newHouse(t)
	k := h.open(ticket.Intake{ContactID: h.person("13912345678", "王小明")})
	secret := h.open(ticket.Intake{ContactID: h.person("13912345679", "李四"), Confidential: true})
	token := h.token(org.Dispatcher)
	if status, _ := h.program("POST", "/api/v1/tickets/"+k.ID+"/reveal", token, `{"reason":""}`); status != 422 {
		t.Errorf("without a reason: %d", status)
	}
	if status, body := h.program("POST", "/api/v1/tickets/"+k.ID+"/reveal", token, `{"reason":"联系群众核实"}`); status != 200 || !strings.Contains(body, "13912345678") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := h.program("POST", "/api/v1/tickets/"+secret.ID+"/reveal", token, `{"reason":"联系群众核实"}`); status != 403 {
		t.Errorf("confidential: %d", status)
	}
	if status, _ := h.program("POST", "/api/v1/tickets/"+k.ID+"/reveal", h.token(org.Analyst), `{"reason":"看看"}`); status != 403 {
		t.Errorf("an analyst: %d", status)
	}
	h.view(func(tx *storage.Tx) error {
		events, err := audit.Stream(tx, "contact/"+k.ContactID)
		if len(events) != 1 || events[0].Type != "contact.revealed" {
			t.Errorf("%+v", events)
		}
		return err
	})
}

func TestAnExportBearsItsTakerInEveryRow(t *testing.T) {
	h := newHouse(t)
	h.open(ticket.Intake{Title: "我叫王小明", Body: "电话13912345678", ContactID: h.person("13912345678", "王小明")})
	h.open(ticket.Intake{Channel: "12389", ExternalID: "J1", Title: "举报民警", Body: "内容", By: h.actor("inspector1")})
	b := h.as("supervisor1")
	if p := b.post("/export", form("from", "2026-11-01", "to", "2026-11-30", "reason", "", "as", "csv")); p.status != http.StatusUnprocessableEntity {
		t.Errorf("without a purpose: %d", p.status)
	}
	p := b.post("/export", form("from", "2026-11-01", "to", "2026-11-30", "reason", "月度分析", "as", "csv"))
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(p.body, "\uFEFF"))).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%q %v", rows, err)
	}
	mark := rows[1][len(rows[1])-1]
	if !strings.Contains(mark, "supervisor1") || !strings.Contains(mark, "2026-11-23") || !strings.Contains(mark, "行:") {
		t.Errorf("watermark %q", mark)
	}
	for _, secret := range []string{"13912345678", "王小明", "举报民警"} {
		if strings.Contains(p.body, secret) {
			t.Errorf("the export shows %s", secret)
		}
	}
	if p := b.post("/export", form("from", "2026-11-01", "to", "2026-11-30", "reason", "月度分析", "as", "xlsx")); !strings.HasPrefix(p.body, "PK") {
		t.Errorf("no workbook: %d", p.status)
	}
	if p := b.get("/export"); strings.Count(p.body, "月度分析") < 2 {
		t.Error("the log does not show the exports")
	}
	if p := h.as("operator1").post("/export", form("from", "2026-11-01", "to", "2026-11-30", "reason", "看看", "as", "csv")); p.status != http.StatusForbidden {
		t.Errorf("an operator exports: %d", p.status)
	}
}

func TestConnectorsTurnRedOnThePage(t *testing.T) {
	h := newHouse(t)
	dead := httptest.NewServer(http.NotFoundHandler())
	address := dead.URL
	dead.Close()
	admin, b := h.as("admin1"), h.as("supervisor1")
	if p := admin.post("/connectors", form("kind", "push", "name", "12345回写", "channel", "12345", "url", address, "secret", "k", "every", "5", "enabled", "1")); p.status != http.StatusOK || !strings.Contains(p.body, "12345回写") {
		t.Fatalf("%d %s", p.status, alertIn(p.body))
	}
	if p := admin.post("/connectors", form("kind", "push", "name", "坏", "channel", "12345", "url", "http://example.com/x", "secret", "k", "every", "5")); p.status != http.StatusUnprocessableEntity {
		t.Errorf("personal data over plain http: %d", p.status)
	}
	run := &channel.Runner{Gateway: h.gateway}
	h.pass(time.Second)
	if err := run.Once(h.ctx); err != nil {
		t.Fatal(err)
	}
	run.Wait()
	if p := b.get("/connectors"); !strings.Contains(p.body, "1 个中断") || !strings.Contains(p.body, "cannot be reached") {
		t.Errorf("%s", p.body)
	}
	for _, path := range []string{"/results", "/channels", "/imports"} {
		who := b
		if path == "/channels" {
			who = admin
		}
		if p := who.get(path); p.status != http.StatusOK {
			t.Errorf("%s: %d", path, p.status)
		}
	}
}
