package channel

import (
	"bytes"
	"errors"
	"html"
	"io"
	"mime"
	"net/textproto"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // the encodings that mails come in
	"github.com/emersion/go-message/mail"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// readMail reads a mail (RFC 5322, MIME) as well as it can be read. Whatever is wrong with it, there is a delivery: Chinese
// mails come with headers that are not encoded, with encodings that are called by other names, or by none.
func readMail(raw []byte) Delivery {
	d := Delivery{Raw: raw}
	e, err := message.Read(bytes.NewReader(raw))
	if e == nil || err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
		d.Body = anyText(raw, "")
		return d
	}
	h := mail.Header{Header: e.Header}
	d.Title = headerText(h.Get("Subject"))
	d.Name, d.Mail = sender(h)
	var plain, rich []string
	_ = walk(e, func(p *message.Entity) {
		media, params, err := p.Header.ContentType()
		if err != nil && media == "" {
			media = "text/plain"
		}
		disposition, with, _ := p.Header.ContentDisposition()
		name := headerText(first(with["filename"], params["name"]))
		data, _ := io.ReadAll(io.LimitReader(p.Body, longestMail)) // what can be read of a damaged part is kept
		isText := strings.HasPrefix(media, "text/")
		switch {
		case isText && disposition != "attachment" && name == "":
			// go-message has turned what it knows of into UTF-8; what it does not know comes as it is.
			text := anyText(data, params["charset"])
			if media == "text/html" {
				rich = append(rich, plainOf(text))
			} else {
				plain = append(plain, text)
			}
		case strings.HasPrefix(media, "multipart/"):
		default:
			if name == "" {
				name = "附件"
				if exts, _ := mime.ExtensionsByType(media); len(exts) > 0 {
					name += exts[0]
				}
			}
			d.Files = append(d.Files, File{Name: path.Base(strings.ReplaceAll(name, `\`, "/")), Media: media, Data: data})
		}
	})
	d.Body = strings.TrimSpace(strings.Join(plain, "\n"))
	if d.Body == "" {
		d.Body = strings.TrimSpace(strings.Join(rich, "\n"))
	}
	return d
}

// walk visits every leaf of a mail, the parts of attached mails too.
func walk(e *message.Entity, visit func(*message.Entity)) error {
	depth := 0
	var into func(e *message.Entity) error
	into = func(e *message.Entity) error {
		parts := e.MultipartReader()
		if parts == nil || depth > 8 {
			visit(e)
			return nil
		}
		depth++
		defer func() { depth-- }()
		for {
			p, err := parts.NextPart()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
				return err
			}
			if err := into(p); err != nil {
				return err
			}
		}
	}
	return into(e)
}

func first(s ...string) string {
	for _, x := range s {
		if x != "" {
			return x
		}
	}
	return ""
}

// headerText reads a header value: encoded words (RFC 2047), or the bytes of an encoding that is not told.
func headerText(s string) string {
	dec := &mime.WordDecoder{CharsetReader: func(charset string, r io.Reader) (io.Reader, error) {
		b, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		return strings.NewReader(anyText(b, charset)), nil
	}}
	if out, err := dec.DecodeHeader(s); err == nil {
		s = out
	}
	return strings.Join(strings.Fields(anyText([]byte(s), "")), " ")
}

// sender is who wrote, as far as the header tells.
func sender(h mail.Header) (name, address string) {
	for _, key := range []string{"Reply-To", "From", "Sender"} {
		value := h.Get(key)
		if value == "" {
			continue
		}
		raw := value
		if list, err := h.AddressList(key); err == nil && len(list) > 0 {
			return headerText(list[0].Name), list[0].Address
		}
		if m := mailPattern.FindString(raw); m != "" {
			return headerText(strings.Trim(strings.Replace(raw, m, "", 1), `<>" `)), m
		}
	}
	return "", ""
}

var mailPattern = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+`)

// anyText is a text in UTF-8, whatever it came in: as charset says, else as UTF-8 if it is that, else as GB18030.
func anyText(b []byte, charset string) string {
	if utf8.Valid(b) {
		return string(b)
	}
	if charset != "" {
		if e, err := htmlindex.Get(strings.TrimSpace(charset)); err == nil {
			if out, err := e.NewDecoder().Bytes(b); err == nil && !bytes.ContainsRune(out, utf8.RuneError) {
				return string(out)
			}
		}
	}
	if out, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b); err == nil && !bytes.ContainsRune(out, utf8.RuneError) {
		return string(out)
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

var (
	noText  = regexp.MustCompile(`(?is)<(script|style|head|title)[^>]*>.*?</(?:script|style|head|title)\s*>|<!--.*?-->`)
	newLine = regexp.MustCompile(`(?i)<(?:br|/p|/div|/tr|/li|/h[1-6])[^>]*>`)
	anyTag  = regexp.MustCompile(`(?s)<[^>]*>`)
	blanks  = regexp.MustCompile(`[ \t\x{a0}]+`)
	lines   = regexp.MustCompile(`\n\s*\n\s*\n+`)
)

// plainOf is the text of an HTML page.
func plainOf(s string) string {
	s = noText.ReplaceAllString(s, "")
	s = newLine.ReplaceAllString(s, "\n")
	s = html.UnescapeString(anyTag.ReplaceAllString(s, ""))
	s = blanks.ReplaceAllString(s, " ")
	return strings.TrimSpace(lines.ReplaceAllString(s, "\n\n"))
}

// Part is a piece of an original, for people to look at.
type Part struct {
	Name  string // file name, "" for text
	Media string
	Text  string // of a part that is text
	Size  int
}

// Original is an original, told apart for people to look at: a mail with its headers and parts, an object, or plain text.
type Original struct {
	Kind    string // "mail", "json", "text"
	Headers [][2]string
	Text    string
	Parts   []Part
	Size    int
}

// ReadOriginal tells what an original is.
func ReadOriginal(raw []byte) Original {
	o := Original{Kind: "text", Size: len(raw)}
	trimmed := bytes.TrimSpace(raw)
	switch {
	case len(trimmed) > 1 && (trimmed[0] == '{' || trimmed[0] == '['):
		o.Kind, o.Text = "json", indented(trimmed)
	case isMail(raw):
		o.Kind = "mail"
		e, err := message.Read(bytes.NewReader(raw))
		if e != nil && (err == nil || message.IsUnknownCharset(err) || message.IsUnknownEncoding(err)) {
			for _, key := range []string{"From", "To", "Cc", "Subject", "Date", "Message-Id", "Received"} {
				if v := e.Header.Get(key); v != "" {
					o.Headers = append(o.Headers, [2]string{key, headerText(v)})
				}
			}
		}
		d := readMail(raw)
		o.Text = d.Body
		for _, f := range d.Files {
			o.Parts = append(o.Parts, Part{Name: f.Name, Media: f.Media, Size: len(f.Data)})
		}
	default:
		o.Text = anyText(raw, "")
	}
	return o
}

// isMail reports whether bytes begin as a mail does: with header lines.
func isMail(raw []byte) bool {
	head := raw[:min(len(raw), 4096)]
	n := 0
	for _, l := range bytes.Split(head, []byte("\n")) {
		l = bytes.TrimRight(l, "\r")
		if len(l) == 0 {
			break
		}
		key, _, ok := bytes.Cut(l, []byte(":"))
		if !ok && l[0] != ' ' && l[0] != '\t' {
			return false
		}
		switch textproto.CanonicalMIMEHeaderKey(string(key)) {
		case "From", "Date", "Subject", "Message-Id", "Received", "Mime-Version", "Return-Path", "Delivered-To":
			n++
		}
	}
	return n >= 2
}
