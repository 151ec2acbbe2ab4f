package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"lianxin/privacy"
	"lianxin/sms"
)

// Config is everything the engineer can set. One field is one flag, one environment variable and one key of the
// configuration file (the flag's name), in that order of precedence. Secrets are the exception: they are never taken
// from the command line, where other users of the machine can read them.
type Config struct {
	Data string `help:"Folder of everything durable: database, keys, recordings." default:"./data" env:"LIANXIN_DATA" type:"path"`
	HTTP string `name:"http" help:"Address of the console and the API." default:"127.0.0.1:8046" env:"LIANXIN_HTTP"`

	Proxies []string `name:"proxy" help:"Addresses (IP or CIDR) of our own reverse proxies: the client that their X-Forwarded-For names is believed." env:"LIANXIN_PROXIES"`

	TLSCert string `name:"tls-cert" help:"Certificate file (PEM) for HTTPS; browsers give the microphone away only over HTTPS or to localhost." env:"LIANXIN_TLS_CERT"`
	TLSKey  string `name:"tls-key" help:"Private key file (PEM) of the certificate." env:"LIANXIN_TLS_KEY"`

	SIP     string `name:"sip" help:"Address on which SIP is answered, UDP and TCP." default:"0.0.0.0:5060" env:"LIANXIN_SIP"`
	SIPTLS  string `name:"sip-tls" help:"Address on which SIP over TLS is answered, such as 0.0.0.0:5061; needs --sip-cert and --sip-key." env:"LIANXIN_SIP_TLS"`
	SIPCert string `name:"sip-cert" help:"Certificate file (PEM) of SIP over TLS; read again when it changes." env:"LIANXIN_SIP_CERT"`
	SIPKey  string `name:"sip-key" help:"Private key file (PEM) of SIP over TLS." env:"LIANXIN_SIP_KEY"`
	SIPSRTP string `name:"sip-srtp" help:"Whether the voice of phones and trunks over TLS is encrypted (SRTP, keys by SDES): offered, required or off." enum:"offered,required,off" default:"offered" env:"LIANXIN_SIP_SRTP"`

	SoftphonePort int `name:"softphone-port" help:"UDP port for the telephone in operators' browsers (WebRTC); 0 switches it off." default:"15999" env:"LIANXIN_SOFTPHONE_PORT"`

	SoftphoneICE   []string `name:"softphone-ice" help:"STUN and TURN servers for browsers behind strict firewalls, such as turns:turn.example.cn:443?transport=tcp. TURN servers need the secret LIANXIN_SOFTPHONE_TURN_SECRET." env:"LIANXIN_SOFTPHONE_ICE"`
	SoftphoneRelay bool     `name:"softphone-relay" help:"The voice of browsers takes no way but through the TURN servers of --softphone-ice." env:"LIANXIN_SOFTPHONE_RELAY"`

	RTPPorts PortRange `name:"rtp-ports" help:"UDP ports of the voice. Keep them out of the kernel's ephemeral range." default:"16000-17999" env:"LIANXIN_RTP_PORTS"`
	PublicIP string    `name:"public-ip" help:"Address that phones are told to send to; by default the one from which this machine reaches them." env:"LIANXIN_PUBLIC_IP"`
	Trunks   []string  `name:"trunk" help:"Addresses (IP or CIDR) of the carrier's trunks: their P-Asserted-Identity is believed." env:"LIANXIN_TRUNKS"`

	Hotline   string        `name:"hotline" help:"Number of the hotline." default:"46110110" env:"LIANXIN_HOTLINE"`
	Flows     string        `name:"flows" help:"Folder of flow files that replace the shipped ones, file by file." env:"LIANXIN_FLOWS" type:"path"`
	HookHosts []string      `name:"hook-host" help:"Hosts (host or host:port) that flows may ask over HTTP (verb hook); none by default." env:"LIANXIN_HOOK_HOSTS"`
	Prompts   string        `name:"prompts" help:"Folder of recordings (WAV) that replace the shipped prompts, file by file." env:"LIANXIN_PROMPTS" type:"path"`
	AutoReady bool          `name:"auto-ready" help:"An operator whose phone signs in is ready for calls at once." default:"true" negatable:"" env:"LIANXIN_AUTO_READY"`
	MaxCalls  int           `name:"max-calls" help:"Calls led at a time; more are told that all lines are taken." default:"300" env:"LIANXIN_MAX_CALLS"`
	WrapUp    time.Duration `name:"wrap-up" help:"How long an operator has after a call before the next." default:"15s" env:"LIANXIN_WRAP_UP"`
	Drain     time.Duration `name:"drain" help:"How long calls may go on after the program was told to stop." default:"10s" env:"LIANXIN_DRAIN"`
	Sample    bool          `name:"sample" help:"Load the sample city when the database is empty." default:"true" negatable:"" env:"LIANXIN_SAMPLE"`

	PerCaller  int           `name:"calls-per-number" help:"Calls at a time from one number; 0: no limit." default:"3" env:"LIANXIN_CALLS_PER_NUMBER"`
	TrunkCalls int           `name:"trunk-calls" help:"Calls at a time that the carrier's trunks bring (their channels); 0: no limit of their own." env:"LIANXIN_TRUNK_CALLS"`
	DefendAt   float64       `name:"defend-at" help:"New calls a second, over ten seconds, from which the hotline defends itself against a flood; 0: only by hand." default:"20" env:"LIANXIN_DEFEND_AT"`
	Reserve    int           `name:"reserve-lines" help:"Lines kept, while defending, for callers who are known; 0: a fifth of --max-calls." env:"LIANXIN_RESERVE_LINES"`
	ProofLines int           `name:"proof-lines" help:"Callers who are asked at a time, while defending, to press two digits that tell people from machines, when nobody knows them; 0: a tenth of --max-calls; -1: nobody is asked." env:"LIANXIN_PROOF_LINES"`
	Priority   []string      `name:"priority-number" help:"Numbers that a trunk may always bring, such as other emergency services." env:"LIANXIN_PRIORITY_NUMBERS"`
	MaxCall    time.Duration `name:"max-call" help:"How long any call may last." default:"4h" env:"LIANXIN_MAX_CALL"`
	SIPTrusted []string      `name:"sip-trusted" help:"Addresses (IP or CIDR) that the guard of SIP never limits or bans, such as the operators' offices." env:"LIANXIN_SIP_TRUSTED"`
	SIPDenied  []string      `name:"sip-denied" help:"Addresses (IP or CIDR) that SIP never listens to." env:"LIANXIN_SIP_DENIED"`

	RecordingDays   int `name:"recording-days" help:"Days that the sound of a call is kept; its record stays. 0: for ever." default:"730" env:"LIANXIN_RECORDING_DAYS"`
	RecordingLinked int `name:"recording-days-linked" help:"Days that it is kept when the call belongs to a complaint or a report." default:"1825" env:"LIANXIN_RECORDING_DAYS_LINKED"`
	TraceDays       int `name:"trace-days" help:"Days that the messages and media figures of a call are kept. 0: for ever." default:"90" env:"LIANXIN_TRACE_DAYS"`

	Records   string   `name:"records-folder" help:"Folder into which other systems put files of service records (CSV, XLSX); each is read once and moved to done/ or failed/ with a report." env:"LIANXIN_RECORDS_FOLDER" type:"path"`
	SurveyAt  string   `name:"survey-at" help:"When yesterday's users are asked: five cron fields, Asia/Shanghai." default:"30 9 * * *" env:"LIANXIN_SURVEY_AT"`
	Window    string   `name:"sms-window" help:"When texts may be sent, Asia/Shanghai; with a break at noon: 09:00-12:00,14:00-20:00." default:"09:00-20:00" env:"LIANXIN_SMS_WINDOW"`
	Carriers  []string `name:"sms-carrier" help:"Carriers of texts in order of preference: sim (the simulated handset), twilio, kannel, cmpp, aliyun, tencent. What the first surely did not take goes to the next. Accounts stand in the configuration file." enum:"sim,twilio,kannel,cmpp,aliyun,tencent" default:"sim" env:"LIANXIN_SMS_CARRIER"`
	SMSRate   float64  `name:"sms-rate" help:"Segments a second to each carrier at most; single carriers by carriers.rates in the configuration file." default:"20" env:"LIANXIN_SMS_RATE"`
	SMSTotal  float64  `name:"sms-total-rate" help:"Segments a second to all carriers together; 0 is no limit." default:"0" env:"LIANXIN_SMS_TOTAL_RATE"`
	Holidays  bool     `name:"sms-holidays" help:"Bulk texts also go out on public holidays; with --no-sms-holidays they wait for the end of the holiday." default:"true" negatable:"" env:"LIANXIN_SMS_HOLIDAYS"`
	Classes   string   `name:"survey-config" help:"File of what the survey asks, whom, and what counts (YAML), in place of the shipped one; lianxin survey config prints that." env:"LIANXIN_SURVEY_CONFIG" type:"existingfile"`
	Lexicon   string   `name:"lexicon" help:"Folder of word lists (*.txt) that extend the reader of replies." env:"LIANXIN_LEXICON" type:"existingdir"`
	Signature string   `name:"sms-signature" help:"Signature put before every text." default:"本溪公安" env:"LIANXIN_SMS_SIGNATURE"`

	TwilioURL     string   `name:"twilio-url" help:"Base URL of the Twilio-compatible service." default:"https://api.twilio.com" env:"LIANXIN_TWILIO_URL"`
	TwilioAccount string   `name:"twilio-account" help:"Account SID." env:"LIANXIN_TWILIO_ACCOUNT"`
	TwilioFrom    string   `name:"twilio-from" help:"Sender: a number, several separated by commas (days go out from them in turn), or a messaging service SID (MG…)." env:"LIANXIN_TWILIO_FROM"`
	PictureHosts  []string `name:"picture-host" help:"Host that pictures named by media_url of Open311 are fetched from, over HTTPS; .example.com for all below it; may be given again. None: addresses are noted, not fetched." env:"LIANXIN_PICTURE_HOSTS"`
	PublicURL     string   `name:"public-url" help:"URL under which the outside reaches this server; carriers' webhooks are signed over it." env:"LIANXIN_PUBLIC_URL"`

	Recognizer      string `name:"recognizer" help:"Base URL (with /v1) of an OpenAI-compatible speech recogniser; empty: callers use keys." env:"LIANXIN_RECOGNIZER"`
	RecognizerModel string `name:"recognizer-model" help:"Model the recogniser is asked for." default:"paraformer-zh" env:"LIANXIN_RECOGNIZER_MODEL"`

	ReportDaily   string `name:"report-daily" help:"When yesterday's report is drafted: five cron fields, Asia/Shanghai; empty: never." default:"30 7 * * *" env:"LIANXIN_REPORT_DAILY"`
	ReportWeekly  string `name:"report-weekly" help:"When last week's report is drafted." default:"45 7 * * 1" env:"LIANXIN_REPORT_WEEKLY"`
	ReportMonthly string `name:"report-monthly" help:"When last month's report is drafted." default:"0 8 1 * *" env:"LIANXIN_REPORT_MONTHLY"`

	Retention map[string]string `name:"retention" help:"How long personal data is kept, KIND=PERIOD (10y, 6m, 30d), may be given again; kinds: tickets (10y), texts (1y), records (1y), calls (2y), imports (30d), outward (1y), loose (2y), persons (3y)." env:"LIANXIN_RETENTION"`

	Memory    string `name:"memory-limit" help:"Memory beyond which garbage is collected ever harder (a soft limit): auto is 60 % of what the machine or its control group has; off, or a size such as 900MB or 2GiB. GOMEMLIMIT comes first." default:"auto" env:"LIANXIN_MEMORY_LIMIT"`
	GCPercent int    `name:"gc-percent" help:"Garbage, in percent of what is in use, that may collect before it is removed: less memory for more CPU. GOGC comes first." default:"50" env:"LIANXIN_GC_PERCENT"`

	LogLevel  string `name:"log-level" help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info" env:"LIANXIN_LOG_LEVEL"`
	LogFormat string `name:"log-format" help:"auto, text or json; auto is text on a terminal." enum:"auto,text,json" default:"auto" env:"LIANXIN_LOG_FORMAT"`

	reread func() (*Config, error) // reads the command line, the environment and the file again; nil in tests
	level  *slog.LevelVar

	Secrets         `kong:"-"`
	Telephony       telephonySettings `kong:"-" yaml:"telephony"`
	CarrierSettings carrierSettings   `kong:"-" yaml:"carriers"`
	Views           []viewSettings    `kong:"-" yaml:"record-views"`
}

// Secrets come from the environment or from the configuration file, never from a flag. Each variable may also be given
// with the suffix _FILE and name a file that holds the value.
type Secrets struct {
	Database        string `secret:"LIANXIN_DATABASE" yaml:"database" help:"postgres:// URL; without it the database is the file lianxin.db in the data folder."`
	Redis           string `secret:"LIANXIN_REDIS" yaml:"redis" help:"redis:// URL of the board that several nodes share; without it the board is in memory."`
	TwilioToken     string `secret:"LIANXIN_TWILIO_TOKEN" yaml:"twilio-token" help:"Twilio auth token; two, separated by a comma, while it is rotated."`
	APIToken        string `secret:"LIANXIN_API_TOKEN" yaml:"api-token" help:"A bearer token that the API accepts with the rights of a supervisor; without it one is made on first start (data/api-token)."`
	SamplePassword  string `secret:"LIANXIN_SAMPLE_PASSWORD" yaml:"sample-password" help:"Password of the sample sign-ins; without it one is made on first start (data/sample-signins.txt)."`
	TURNSecret      string `secret:"LIANXIN_SOFTPHONE_TURN_SECRET" yaml:"softphone-turn-secret" help:"Secret shared with the TURN servers of --softphone-ice (coturn: use-auth-secret, static-auth-secret)."`
	HookSecret      string `secret:"LIANXIN_HOOK_SECRET" yaml:"hook-secret" help:"Secret with which questions to --hook-host are signed (HMAC-SHA-256)."`
	RecognizerToken string `secret:"LIANXIN_RECOGNIZER_TOKEN" yaml:"recognizer-token" help:"Bearer token of the recogniser."`
}

// load fills the secrets from the environment, then from the configuration file.
func (s *Secrets) load(f *configFile) error {
	if f != nil {
		if err := yaml.Unmarshal(f.text, s); err != nil {
			return f.complaint(err)
		}
	}
	v, t := reflect.ValueOf(s).Elem(), reflect.TypeFor[Secrets]()
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("secret")
		if path := os.Getenv(name + "_FILE"); path != "" {
			data, err := os.ReadFile(path)
			if err != nil {
				return fmt.Errorf("read %s_FILE: %w", name, err)
			}
			v.Field(i).SetString(strings.TrimSpace(string(data)))
		}
		if text := os.Getenv(name); text != "" {
			v.Field(i).SetString(text)
		}
	}
	return nil
}

// secretsHelp is the end of the help text.
func secretsHelp() string {
	var b strings.Builder
	b.WriteString("Secrets, from the environment (NAME, or NAME_FILE with a file's path) or the configuration file only:\n")
	t := reflect.TypeFor[Secrets]()
	for i := range t.NumField() {
		f := t.Field(i)
		fmt.Fprintf(&b, "  %-26s %s\n", f.Tag.Get("secret"), f.Tag.Get("help"))
	}
	return b.String()
}

// dsn is the database to open: the configured one, or the file in the data folder.
func (c *Config) dsn() string {
	if c.Database != "" {
		return c.Database
	}
	return filepath.Join(c.Data, "lianxin.db")
}

// fill reads what no flag can set, and checks the whole.
func (c *Config) fill(f *configFile) (err error) {
	if err = c.Secrets.load(f); err != nil {
		return err
	}
	if c.CarrierSettings, err = readCarriers(f); err != nil {
		return err
	}
	if c.Views, err = readViews(f); err != nil {
		return err
	}
	if c.Telephony, err = readTelephony(f); err != nil {
		return err
	}
	return c.check()
}

// check finds what flags alone cannot refuse, and says what and where.
func (c *Config) check() error {
	if c.PublicIP != "" {
		if _, err := netip.ParseAddr(c.PublicIP); err != nil {
			return fmt.Errorf("--public-ip %q is no IP address", c.PublicIP)
		}
	}
	if c.SIPTLS != "" && (c.SIPCert == "" || c.SIPKey == "") {
		return errors.New("--sip-tls needs --sip-cert and --sip-key")
	}
	if c.SoftphonePort != 0 && (c.SoftphonePort < 1024 || c.SoftphonePort > 65535 || c.SoftphonePort >= c.RTPPorts.Low && c.SoftphonePort <= c.RTPPorts.High) {
		return fmt.Errorf("--softphone-port %d: want a port from 1024 to 65535 outside --rtp-ports, or 0", c.SoftphonePort)
	}
	if err := c.relays().Check(); err != nil {
		return fmt.Errorf("--softphone-ice: %w", err)
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key belong together")
	}
	if _, err := sms.ParseWindow(c.Window); err != nil {
		return fmt.Errorf("--sms-window: %w", err)
	}
	for _, t := range append(slices.Clone(c.SIPTrusted), c.SIPDenied...) {
		if _, err := prefix(t); err != nil {
			return fmt.Errorf("--sip-trusted, --sip-denied: %q is no IP address or network", t)
		}
	}
	for _, t := range c.Trunks {
		if _, err := prefix(t); err != nil {
			return fmt.Errorf("--trunk %q is no IP address or network", t)
		}
	}
	if _, err := c.periods(); err != nil {
		return err
	}
	for _, p := range c.Proxies {
		if _, err := prefix(p); err != nil {
			return fmt.Errorf("--proxy %q is no IP address or network", p)
		}
	}
	if slices.Contains(c.Carriers, "twilio") {
		for name, v := range map[string]string{"--twilio-account": c.TwilioAccount, "--twilio-from": c.TwilioFrom, "LIANXIN_TWILIO_TOKEN": c.TwilioToken, "--public-url": c.PublicURL} {
			if v == "" {
				return fmt.Errorf("--sms-carrier twilio needs %s", name)
			}
		}
	}
	return nil
}

// periods are the periods of retention that are set.
func (c *Config) periods() (map[privacy.Kind]privacy.Period, error) {
	out := map[privacy.Kind]privacy.Period{}
	for kind, text := range c.Retention {
		p, err := privacy.ParsePeriod(text)
		if err != nil {
			return nil, fmt.Errorf("--retention %s: %w", kind, err)
		}
		out[privacy.Kind(kind)] = p
	}
	return out, privacy.Check(out)
}

// proxies are the networks of our own proxies; check has read them.
func (c *Config) proxies() []netip.Prefix {
	var out []netip.Prefix
	for _, p := range c.Proxies {
		if n, err := prefix(p); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// prefix reads an address or a network in CIDR notation.
func prefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(text)
}

// PortRange is LOW-HIGH, both ends included.
type PortRange struct{ Low, High int }

// UnmarshalText reads LOW-HIGH: two ports from 1024 to 65535 with room for at least one pair of RTP and RTCP.
func (p *PortRange) UnmarshalText(text []byte) error {
	low, high, ok := strings.Cut(string(text), "-")
	var err1, err2 error
	p.Low, err1 = strconv.Atoi(strings.TrimSpace(low))
	p.High, err2 = strconv.Atoi(strings.TrimSpace(high))
	if !ok || err1 != nil || err2 != nil || p.Low < 1024 || p.High > 65535 || p.High <= p.Low {
		return fmt.Errorf("%q is no range of ports: want LOW-HIGH between 1024 and 65535", text)
	}
	return nil
}

// knownKeys are the names a configuration file may use: every flag of Config and every secret.
func knownKeys() []string {
	var keys []string
	for _, t := range []reflect.Type{reflect.TypeFor[Config](), reflect.TypeFor[Secrets]()} {
		for i := range t.NumField() {
			f := t.Field(i)
			switch {
			case f.Tag.Get("yaml") != "":
				keys = append(keys, f.Tag.Get("yaml"))
			case f.Tag.Get("name") != "":
				keys = append(keys, f.Tag.Get("name"))
			case f.Tag.Get("help") != "":
				keys = append(keys, strings.ToLower(f.Name))
			}
		}
	}
	return keys
}
