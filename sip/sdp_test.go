package sip

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lianxin/sip/media"
)

const sdpHead = "v=0\no=- 7 9 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n"

// TestOffersOfRealPeers is the list of pitfall 25.
func TestOffersOfRealPeers(t *testing.T) {
	pcma, pcmu := offered{8, media.PCMA}, offered{0, media.PCMU}
	type want struct {
		addr   string
		codecs []offered
		events uint8
		dir    direction
		frame  int
		audio  int
		err    error
		rtcp   string
		mux    bool
		clock  int
		opus   media.OpusLimit
	}
	for _, c := range []struct {
		name, sdp string
		want
	}{
		{"static types without rtpmap", sdpHead + "m=audio 4000 RTP/AVP 0 8\n",
			want{addr: "192.0.2.1:4000", codecs: []offered{pcmu, pcma}}},
		{"twenty codecs", sdpHead + "m=audio 4000 RTP/AVP 96 97 98 99 100 102 103 104 105 106 107 108 109 110 111 18 4 9 0 8 101\n" +
			"a=rtpmap:96 opus/48000/2\na=rtpmap:97 AMR-WB/16000\na=rtpmap:98 AMR/8000\na=rtpmap:99 iLBC/8000\na=rtpmap:100 speex/16000\n" +
			"a=rtpmap:102 G7221/16000\na=rtpmap:18 G729/8000\na=fmtp:18 annexb=no\na=rtpmap:9 G722/8000\na=rtpmap:101 telephone-event/8000\n",
			want{addr: "192.0.2.1:4000", codecs: []offered{pcmu, pcma}, events: 101}},
		{"dynamic type for PCMA", sdpHead + "m=audio 4000 RTP/AVP 97 98\na=rtpmap:97 PCMA/8000\na=rtpmap:98 telephone-event/8000\n",
			want{addr: "192.0.2.1:4000", codecs: []offered{{97, media.PCMA}}, events: 98}},
		{"names in lower case, one channel", sdpHead + "m=audio 4000 RTP/AVP 8\na=rtpmap:8 pcma/8000/1\n",
			want{addr: "192.0.2.1:4000", codecs: []offered{pcma}}},
		{"another clock or two channels is another codec", sdpHead + "m=audio 4000 RTP/AVP 97 98 8\na=rtpmap:97 PCMA/16000\na=rtpmap:98 PCMU/8000/2\n",
			want{addr: "192.0.2.1:4000", codecs: []offered{pcma}}},
		{"a static type given to something else", sdpHead + "m=audio 4000 RTP/AVP 8 0\na=rtpmap:8 G729/8000\n",
			want{addr: "192.0.2.1:4000", codecs: []offered{pcmu}}},
		{"telephone events at three clocks", sdpHead + "m=audio 4000 RTP/AVP 8 101 102 103\na=rtpmap:101 telephone-event/48000\n" +
			"a=rtpmap:102 telephone-event/16000\na=rtpmap:103 telephone-event/8000\n",
			want{addr: "192.0.2.1:4000", codecs: []offered{pcma}, events: 103}},
		{"telephone events at the wrong clock only", sdpHead + "m=audio 4000 RTP/AVP 8 101\na=rtpmap:101 telephone-event/48000\n",
			want{addr: "192.0.2.1:4000", codecs: []offered{pcma}}},
		{"Opus only, with events at its clock and another", sdpHead + "m=audio 4000 RTP/AVP 96 97 98\na=rtpmap:96 OPUS/48000/2\n" +
			"a=fmtp:96 minptime=10;useinbandfec=1; maxaveragebitrate=16000\na=rtpmap:97 telephone-event/8000\na=rtpmap:98 telephone-event/48000\n",
			want{addr: "192.0.2.1:4000", codecs: []offered{{96, media.Opus}}, events: 98, clock: 48000, opus: media.OpusLimit{Bitrate: 16000, FEC: true}}},
		{"Opus only, with events at 8000 only", sdpHead + "m=audio 4000 RTP/AVP 96 101\na=rtpmap:96 opus/48000\na=rtpmap:101 telephone-event/8000\na=fmtp:96 useinbandfec=x;;\n",
			want{addr: "192.0.2.1:4000", codecs: []offered{{96, media.Opus}}, events: 101}},
		{"G.722 before Opus", sdpHead + "m=audio 4000 RTP/AVP 96 9 101\na=rtpmap:96 opus/48000/2\na=rtpmap:101 telephone-event/48000\n",
			want{addr: "192.0.2.1:4000", codecs: []offered{{9, media.G722}}}},
		{"Opus at a clock that it does not have", sdpHead + "m=audio 4000 RTP/AVP 96\na=rtpmap:96 opus/8000\n", want{err: errSDPNoCodec}},
		{"packets of 30 ms", sdpHead + "m=audio 4000 RTP/AVP 8\na=ptime:30\n", want{addr: "192.0.2.1:4000", codecs: []offered{pcma}, frame: 30}},
		{"packets of 60 ms, at most 40", sdpHead + "m=audio 4000 RTP/AVP 8\na=ptime:60\na=maxptime:40\n", want{addr: "192.0.2.1:4000", codecs: []offered{pcma}, frame: 40}},
		{"packets of 25 ms", sdpHead + "m=audio 4000 RTP/AVP 8\na=ptime:25\n", want{addr: "192.0.2.1:4000", codecs: []offered{pcma}, frame: 20}},
		{"packets of nonsense", sdpHead + "m=audio 4000 RTP/AVP 8\na=ptime:-1\na=maxptime:x\n", want{addr: "192.0.2.1:4000", codecs: []offered{pcma}}},
		{"address at the media", "v=0\no=- 7 9 IN IP4 192.0.2.1\ns=-\nt=0 0\nm=audio 4000 RTP/AVP 8\nc=IN IP4 198.51.100.7\n",
			want{addr: "198.51.100.7:4000", codecs: []offered{pcma}}},
		{"address at both", sdpHead + "m=audio 4000 RTP/AVP 8\nc=IN IP4 198.51.100.7\n", want{addr: "198.51.100.7:4000", codecs: []offered{pcma}}},
		{"no address", "v=0\no=- 7 9 IN IP4 192.0.2.1\ns=-\nt=0 0\nm=audio 4000 RTP/AVP 8\n", want{err: errSDPAddress}},
		{"DNS name", strings.ReplaceAll(sdpHead, "c=IN IP4 192.0.2.1", "c=IN IP4 phone.example") + "m=audio 4000 RTP/AVP 8\n", want{err: errSDPAddress}},
		{"multicast", strings.ReplaceAll(sdpHead, "c=IN IP4 192.0.2.1", "c=IN IP4 224.2.36.42/127") + "m=audio 4000 RTP/AVP 8\n", want{err: errSDPAddress}},
		{"IPv6", strings.ReplaceAll(sdpHead, "c=IN IP4 192.0.2.1", "c=IN IP6 2001:db8::1") + "m=audio 4000 RTP/AVP 8\n",
			want{addr: "[2001:db8::1]:4000", codecs: []offered{pcma}}},
		{"IPv6 with zone", strings.ReplaceAll(sdpHead, "c=IN IP4 192.0.2.1", "c=IN IP6 fe80::1%eth0") + "m=audio 4000 RTP/AVP 8\n", want{err: errSDPAddress}},
		{"hold by address", strings.ReplaceAll(sdpHead, "c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0") + "m=audio 4000 RTP/AVP 8\n",
			want{addr: "0.0.0.0:4000", codecs: []offered{pcma}, dir: sends}},
		{"direction for all", strings.Replace(sdpHead, "t=0 0\n", "t=0 0\na=sendonly\n", 1) + "m=audio 4000 RTP/AVP 8\n",
			want{addr: "192.0.2.1:4000", codecs: []offered{pcma}, dir: sends}},
		{"direction at the media wins", strings.Replace(sdpHead, "t=0 0\n", "t=0 0\na=inactive\n", 1) + "m=audio 4000 RTP/AVP 8\na=recvonly\n",
			want{addr: "192.0.2.1:4000", codecs: []offered{pcma}, dir: receives}},
		{"video first", sdpHead + "m=video 5000 RTP/AVP 96\na=rtpmap:96 H264/90000\na=sendonly\nm=audio 4000 RTP/AVP 8\n",
			want{addr: "192.0.2.1:4000", codecs: []offered{pcma}, audio: 1}},
		{"fax beside audio", sdpHead + "m=audio 4000 RTP/AVP 8\nm=image 4002 udptl t38\na=T38FaxVersion:0\n",
			want{addr: "192.0.2.1:4000", codecs: []offered{pcma}}},
		{"two audio streams, the first without codec", sdpHead + "m=audio 4000 RTP/AVP 18\nm=audio 4002 RTP/AVP 8\n",
			want{addr: "192.0.2.1:4002", codecs: []offered{pcma}, audio: 1}},
		{"two audio streams, the first switched off", sdpHead + "m=audio 0 RTP/AVP 8\nm=audio 4002 RTP/AVP 8\n",
			want{addr: "192.0.2.1:4002", codecs: []offered{pcma}, audio: 1}},
		{"audio switched off", sdpHead + "m=audio 0 RTP/AVP 8\n", want{err: errSDPNoAudio}},
		{"video only", sdpHead + "m=video 5000 RTP/AVP 96\n", want{err: errSDPNoAudio}},
		{"encrypted only", sdpHead + "m=audio 4000 RTP/SAVP 8\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\n", want{err: errSDPNoAudio}},
		{"encrypted or not", sdpHead + "m=audio 4000 RTP/SAVP 8\nm=audio 4000 RTP/AVP 8\n", want{addr: "192.0.2.1:4000", codecs: []offered{pcma}, audio: 1}},
		{"no codec in common", sdpHead + "m=audio 4000 RTP/AVP 18 101\na=rtpmap:101 telephone-event/8000\n", want{err: errSDPNoCodec}},
		{"no media at all", sdpHead, want{err: errSDPNoAudio}},
		{"ICE and bundle attributes", sdpHead + "a=group:BUNDLE audio\na=msid-semantic: WMS\nm=audio 4000 RTP/AVPF 8\na=ice-ufrag:x\na=ice-pwd:y\n" +
			"a=candidate:1 1 UDP 2130706431 10.0.0.1 4000 typ host\na=mid:audio\na=rtcp-mux\na=rtcp:4009 IN IP4 192.0.2.9\na=ssrc:1 cname:x\n",
			want{addr: "192.0.2.1:4000", codecs: []offered{pcma}, rtcp: "192.0.2.9:4009", mux: true}},
		{"rtcp port alone", sdpHead + "m=audio 4000 RTP/AVP 8\na=rtcp:4010\n", want{addr: "192.0.2.1:4000", codecs: []offered{pcma}, rtcp: "192.0.2.1:4010"}},
		{"bandwidth, phone, mail, key and zone lines", "v=0\no=- 7 9 IN IP4 192.0.2.1\ns=call\ni=x\nu=http://%%%\ne=a@b\np=+1\nc=IN IP4 192.0.2.1\n" +
			"b=FOO:x\nt=0 0\nr=7d 1h 0 25h\nz=0 0\nk=clear:x\na=tool:x\nm=audio 4000 RTP/AVP 8\ni=y\nb=AS:64\nk=prompt\n",
			want{addr: "192.0.2.1:4000", codecs: []offered{pcma}}},
		{"no session name, no time", "v=0\no=- 7 9 IN IP4 192.0.2.1\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 8\n",
			want{addr: "192.0.2.1:4000", codecs: []offered{pcma}}},
		{"words in the origin", "v=0\no=user abc 2890844527x IN IP4 host\ns= \nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/AVP 8\n",
			want{addr: "192.0.2.1:4000", codecs: []offered{pcma}}},
		{"number of ports", sdpHead + "m=audio 4000/2 RTP/AVP 8\n", want{addr: "192.0.2.1:4000", codecs: []offered{pcma}}},
		{"types that are none", sdpHead + "m=audio 4000 RTP/AVP 8 300 x -1\n", want{addr: "192.0.2.1:4000", codecs: []offered{pcma}}},
		{"port too big", sdpHead + "m=audio 70000 RTP/AVP 8\n", want{err: errSDPSyntax}},
		{"no formats", sdpHead + "m=audio 4000 RTP/AVP\n", want{err: errSDPSyntax}},
		{"no version", "o=- 7 9 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/AVP 8\n", want{err: errSDPSyntax}},
		{"version 1", "v=1\n", want{err: errSDPSyntax}},
		{"no origin", "v=0\ns=-\nm=audio 4000 RTP/AVP 8\n", want{err: errSDPSyntax}},
		{"a line without type", sdpHead + "audio\n", want{err: errSDPSyntax}},
		{"NUL", sdpHead + "a=\x00\n", want{err: errSDPSyntax}},
		{"XML", "<sdp/>", want{err: errSDPSyntax}},
		{"seventeen streams", sdpHead + strings.Repeat("m=audio 4000 RTP/AVP 8\n", 17), want{err: errSDPSyntax}},
		{"nothing", "", want{err: errSDPSyntax}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for end, text := range map[string]string{"LF": c.sdp, "CRLF": strings.ReplaceAll(c.sdp, "\n", "\r\n"), "no last end": strings.TrimSuffix(c.sdp, "\n")} {
				r, err := readSDP([]byte(text))
				if !errors.Is(err, c.err) || err != nil && c.err == nil {
					t.Fatalf("%s: error %v, want %v", end, err, c.err)
				}
				if err != nil {
					continue
				}
				w := c.want
				if w.frame == 0 {
					w.frame = 20
				}
				if w.dir == 0 {
					w.dir = both
				}
				if w.events != 0 && w.clock == 0 {
					w.clock = 8000
				}
				got := want{addr: r.addr.String(), codecs: r.codecs, events: r.events, dir: r.dir, frame: r.frameTime(), audio: r.audio, mux: r.mux,
					clock: r.clock, opus: r.opus}
				if r.rtcp.IsValid() {
					got.rtcp = r.rtcp.String()
				}
				if d := cmp.Diff(w, got, cmp.AllowUnexported(want{}, offered{})); d != "" {
					t.Errorf("%s: %s", end, d)
				}
			}
		})
	}
}

func TestAnswerRefusesOtherStreamsInTheirPlace(t *testing.T) { // RFC 3264 6
	r, err := readSDP([]byte(sdpHead + "m=video 5000 RTP/AVPF 96\nm=audio 4000 RTP/AVP 97 101\na=rtpmap:97 PCMA/8000\n" +
		"a=rtpmap:101 telephone-event/8000\nm=image 4002 udptl t38\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\n"))
	if err != nil {
		t.Fatal(err)
	}
	l := local{id: 3}
	out := string(l.answer(r, stream{addr: netip.MustParseAddr("203.0.113.1"), port: 6000, codecs: []offered{r.pick(nil)}, events: r.events,
		dir: r.dir.reversed()}))
	want := "v=0\r\no=- 3 0 IN IP4 203.0.113.1\r\ns=-\r\nc=IN IP4 203.0.113.1\r\nt=0 0\r\nm=video 0 RTP/AVPF 96\r\nm=audio 6000 RTP/AVP 97 101\r\n" +
		"a=rtpmap:97 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\nm=image 0 udptl t38\r\n" +
		"m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n"
	if d := cmp.Diff(want, out); d != "" {
		t.Error(d)
	}
}

func TestVersionRisesOnlyWithAChange(t *testing.T) { // RFC 3264 8
	l := local{id: 1}
	s := stream{addr: netip.MustParseAddr("203.0.113.1"), port: 6000, codecs: []offered{{8, media.PCMA}}, dir: both}
	a, b := l.offer(s), l.offer(s)
	if !bytes.Equal(a, b) {
		t.Errorf("%s\n%s", a, b)
	}
	s.dir = receives
	if c := l.offer(s); !bytes.Contains(c, []byte("o=- 1 1 ")) {
		t.Errorf("%s", c)
	}
	s.addr = netip.MustParseAddr("2001:db8::2")
	if c := l.offer(s); !bytes.Contains(c, []byte("o=- 1 2 IN IP6 2001:db8::2\r\ns=-\r\nc=IN IP6 2001:db8::2")) {
		t.Errorf("%s", c)
	}
}

func TestDirectionsSeenFromTheOtherSide(t *testing.T) {
	for d, want := range map[direction]string{both: "sendrecv", sends: "recvonly", receives: "sendonly", inactive: "inactive"} {
		if got := d.reversed().String(); got != want {
			t.Errorf("%v reversed is %s, want %s", d, got, want)
		}
	}
}

func FuzzSDP(f *testing.F) {
	f.Add([]byte(plainSDP))
	f.Add([]byte(sdpHead + "m=video 5000 RTP/AVP 96\nm=audio 4000/2 RTP/AVP 97\na=rtpmap:97 PCMA/8000\na=rtcp:1 IN IP4 1.2.3.4\n"))
	f.Add([]byte(sdpHead + "m=image 4002 udptl t38\nc=IN IP6 ::\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := readSDP(body)
		if err != nil {
			return
		}
		if r.audio < 0 || r.audio >= len(r.lines) || len(r.codecs) == 0 || !r.addr.IsValid() {
			t.Fatalf("half a description: %+v", r)
		}
		// what we answer must be readable, line by line, and refuse what was refused
		l := local{id: 1}
		out := l.answer(r, stream{addr: netip.MustParseAddr("203.0.113.1"), port: 6000, codecs: []offered{r.pick(nil)}, events: r.events, dir: r.dir.reversed()})
		back, err := readSDP(out)
		if err != nil {
			t.Fatalf("our answer: %v\n%s", err, out)
		}
		if len(back.lines) != len(r.lines) || back.audio != r.audio || back.codecs[0] != r.pick(nil) {
			t.Fatalf("answer %+v to %+v", back, r)
		}
	})
}
