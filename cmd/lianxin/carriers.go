package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/sms/aliyun"
	"lianxin/sms/cmpp"
	"lianxin/sms/kannel"
	"lianxin/sms/sim"
	"lianxin/sms/tencent"
	"lianxin/sms/twilio"
)

// carrierSettings are the accounts with carriers. They hold secrets, so they stand in the configuration file only, under
// the key "carriers".
type carrierSettings struct {
	Rates  map[string]float64 `yaml:"rates"` // segments a second to single carriers, in place of --sms-rate
	Kannel struct {
		URL      string `yaml:"url"` // of sendsms
		Username string `yaml:"username"`
		Password string `yaml:"password"`
		From     string `yaml:"from"`
		SMSC     string `yaml:"smsc"`
		Extend   bool   `yaml:"extend"` // the contract gives sub-numbers
		pushing  `yaml:",inline"`
	} `yaml:"kannel"`
	CMPP struct {
		Addr      string        `yaml:"addr"` // host:port of the gateway
		ID        string        `yaml:"id"`   // 企业代码
		Secret    string        `yaml:"secret"`
		Version   string        `yaml:"version"` // "2.0" or "3.0"
		Number    string        `yaml:"number"`  // access number
		Extend    bool          `yaml:"extend"`  // the contract gives sub-numbers
		Service   string        `yaml:"service"` // 业务代码
		FeeType   string        `yaml:"fee-type"`
		FeeCode   string        `yaml:"fee-code"`
		Window    int           `yaml:"window"`
		Heartbeat time.Duration `yaml:"heartbeat"`
	} `yaml:"cmpp"`
	Aliyun struct {
		AccessKeyID     string             `yaml:"access-key-id"`
		AccessKeySecret string             `yaml:"access-key-secret"`
		Endpoint        string             `yaml:"endpoint"`
		Extend          bool               `yaml:"extend"` // opened on request
		Templates       []approvedTemplate `yaml:"templates"`
		pushing         `yaml:",inline"`
	} `yaml:"aliyun"`
	Tencent struct {
		SecretID  string             `yaml:"secret-id"`
		SecretKey string             `yaml:"secret-key"`
		Endpoint  string             `yaml:"endpoint"`
		Region    string             `yaml:"region"`
		AppID     string             `yaml:"app-id"`
		Extend    bool               `yaml:"extend"` // opened on request
		Templates []approvedTemplate `yaml:"templates"`
		pushing   `yaml:",inline"`
	} `yaml:"tencent"`
}

// pushing is how a carrier's pushes are known to be the carrier's.
type pushing struct {
	Path    string   `yaml:"push-secret"` // part of the addresses it pushes to; 16 or more letters, digits, _ or -
	Allow   []string `yaml:"push-from"`   // addresses or networks it pushes from
	Proxies []string `yaml:"proxies"`     // our own reverse proxies
}

// approvedTemplate is a text that the carrier has approved, with its variables.
type approvedTemplate struct {
	Code string `yaml:"code"`
	Text string `yaml:"text"`
}

// readCarriers reads the carriers' part of the configuration file; a key that is not known is an error.
func readCarriers(f *configFile) (s carrierSettings, err error) { return s, f.part("carriers", &s) }

// wireCarriers opens the carriers of --sms-carrier in their order: the first sends, the others take over what it surely
// did not take.
func (c *centre) wireCarriers(vault *contact.Vault, receipts func(context.Context, sms.Receipt) error, replies func(context.Context, sms.Inbound) error) error {
	for _, name := range c.cfg.Carriers {
		carrier, err := c.wireCarrier(name, vault, receipts, replies)
		if err != nil {
			return fmt.Errorf("carrier %s: %w", name, err)
		}
		c.outbox.Carriers = append(c.outbox.Carriers, carrier)
	}
	return nil
}

func (c *centre) wireCarrier(name string, vault *contact.Vault, receipts func(context.Context, sms.Receipt) error, replies func(context.Context, sms.Inbound) error) (sms.Carrier, error) {
	hook := func(method, path string, h http.Handler) { c.webhooks[method+" "+path] = h }
	set := c.cfg.CarrierSettings
	switch name {
	case "twilio":
		token, second, _ := strings.Cut(c.cfg.TwilioToken, ",")
		account := twilio.Config{AccountSID: c.cfg.TwilioAccount, AuthToken: token, SecondToken: second, BaseURL: c.cfg.TwilioURL, PublicURL: c.cfg.PublicURL}
		if strings.HasPrefix(c.cfg.TwilioFrom, "MG") {
			account.MessagingServiceSID = c.cfg.TwilioFrom
		} else {
			account.From = c.cfg.TwilioFrom
		}
		carrier, err := twilio.New(account)
		if err != nil {
			return nil, err
		}
		w := &twilio.Webhooks{Carrier: carrier, Receipts: receipts, Replies: replies, Log: c.log}
		hook("POST", twilio.StatusPath, w.Status())
		hook("POST", twilio.InboundPath, w.Inbound())
		return carrier, nil
	case "kannel":
		k := set.Kannel
		carrier, err := kannel.New(kannel.Config{URL: k.URL, Username: k.Username, Password: k.Password, From: k.From, SMSC: k.SMSC, Extend: k.Extend,
			CallbackURL: c.cfg.PublicURL, Secret: k.Path, Allow: k.Allow, Proxies: k.Proxies})
		if err != nil {
			return nil, err
		}
		w := &kannel.Webhooks{Carrier: carrier, Receipts: receipts, Replies: replies, Log: c.log}
		hook("GET", kannel.ReceiptPath, w.Receipt())
		hook("GET", kannel.ReplyPath, w.Reply())
		return carrier, nil
	case "cmpp":
		m := set.CMPP
		versions := map[string]cmpp.Version{"": 0, "2.0": cmpp.V20, "3.0": cmpp.V30}
		version, ok := versions[m.Version]
		if !ok {
			return nil, fmt.Errorf("version %q: want 2.0 or 3.0", m.Version)
		}
		carrier, err := cmpp.New(cmpp.Config{Addr: m.Addr, ID: m.ID, Secret: m.Secret, Version: version, Number: m.Number, Extend: m.Extend, Service: m.Service,
			FeeType: m.FeeType, FeeCode: m.FeeCode, Window: m.Window, Heartbeat: m.Heartbeat}, c.db, vault)
		if err != nil {
			return nil, err
		}
		carrier.Receipts, carrier.Replies = receipts, replies
		c.links = append(c.links, carrier.Run)
		return carrier, nil
	case "aliyun":
		a := set.Aliyun
		carrier, err := aliyun.New(aliyun.Config{AccessKeyID: a.AccessKeyID, AccessKeySecret: a.AccessKeySecret, Endpoint: a.Endpoint, Signature: c.cfg.Signature,
			Extend: a.Extend, Templates: templates(a.Templates), Secret: a.Path, Allow: a.Allow, Proxies: a.Proxies})
		if err != nil {
			return nil, err
		}
		w := &aliyun.Webhooks{Carrier: carrier, Receipts: receipts, Replies: replies, Log: c.log}
		hook("POST", aliyun.ReceiptPath, w.Receipt())
		hook("POST", aliyun.ReplyPath, w.Reply())
		return carrier, nil
	case "tencent":
		t := set.Tencent
		carrier, err := tencent.New(tencent.Config{SecretID: t.SecretID, SecretKey: t.SecretKey, Endpoint: t.Endpoint, Region: t.Region, AppID: t.AppID, Extend: t.Extend,
			Signature: c.cfg.Signature, Templates: templates(t.Templates), Secret: t.Path, Allow: t.Allow, Proxies: t.Proxies})
		if err != nil {
			return nil, err
		}
		w := &tencent.Webhooks{Carrier: carrier, Receipts: receipts, Replies: replies, Log: c.log}
		hook("POST", tencent.ReceiptPath, w.Receipt())
		hook("POST", tencent.ReplyPath, w.Reply())
		return carrier, nil
	}
	c.sim = &sim.Carrier{DB: c.db, Vault: vault, Log: c.log, Receipts: receipts, Replies: replies}
	return c.sim, nil
}

// templates turns the settings into templates; those of both services are of one type.
func templates(list []approvedTemplate) []aliyun.Template {
	out := make([]aliyun.Template, len(list))
	for i, t := range list {
		out[i] = aliyun.Template{Code: t.Code, Text: t.Text}
	}
	return out
}
