package bot

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"carom/pipeline/event"
)

// Agents that several tests use.
const (
	chrome   = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	appleUI  = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
	gmail    = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
	yahoo    = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
	prefetch = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
	sampling = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Gmail-content-sampling"
	outlook  = "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)"
)

// get is a GET by an agent.
func get(agent string) event.Request { return event.Request{Method: "GET", UserAgent: agent} }

func TestJudge(t *testing.T) {
	withMethod := func(m, agent string) event.Request {
		r := get(agent)
		r.Method = m
		return r
	}
	withPurpose := func(p, agent string) event.Request {
		r := get(agent)
		r.Purpose = p
		return r
	}
	withReferer := func(ref, agent string) event.Request {
		r := get(agent)
		r.Referer = ref
		return r
	}
	// open and click are "verdict reasons... [via]", with reasons joined by commas.
	tests := []struct {
		name        string
		req         event.Request
		open, click string
	}{
		{"a browser", get(chrome), "human", "human"},
		{"Apple Mail itself is no privacy proxy", get(appleUI), "human", "human"},

		{"HEAD", withMethod("HEAD", chrome), "scanner method", "scanner method"},
		{"POST", withMethod("POST", chrome), "scanner method", "scanner method"},
		{"HEAD by a library", withMethod("HEAD", "curl/8.5.0"), "scanner method,agent_library", "scanner method,agent_library"},
		{"HEAD by an image proxy", withMethod("HEAD", gmail), "scanner method via gmail", "scanner method,agent_image_proxy via gmail"},

		{"Sec-Purpose", withPurpose("prefetch;prerender", chrome), "scanner header_prefetch", "scanner header_prefetch"},
		{"Purpose in capitals", withPurpose("PREVIEW", chrome), "scanner header_prefetch", "scanner header_prefetch"},
		{"another purpose", withPurpose("navigate", chrome), "human", "human"},
		{
			"everything at once",
			event.Request{Method: "HEAD", Purpose: "prefetch", UserAgent: "mimecast"},
			"scanner method,header_prefetch,agent_scanner", "scanner method,header_prefetch,agent_scanner",
		},

		{"no agent", get(""), "unknown agent_empty", "scanner agent_empty"},

		{"exactly Mozilla/5.0", get("Mozilla/5.0"), "proxy agent_privacy_proxy via apple", "unknown agent_privacy_proxy via apple"},
		{"mozilla/5.0", get("mozilla/5.0"), "human", "human"},
		{"Mozilla/5.0 and a blank", get("Mozilla/5.0 "), "human", "human"},

		{"Gmail's prefetch", withReferer("http://mail.google.com/", prefetch), "proxy agent_prefetch via gmail", "human"},
		{"Gmail's prefetch, host in capitals, with a port", withReferer("https://u@MAIL.Google.com:443?x", prefetch), "proxy agent_prefetch via gmail", "human"},
		{"Gmail's prefetch without Gmail", get(prefetch), "human", "human"},
		{"Gmail's prefetch from elsewhere", withReferer("https://mail.google.com.example.com/", prefetch), "human", "human"},
		{"Gmail's prefetch in a path", withReferer("https://example.com/mail.google.com", prefetch), "human", "human"},
		{"Gmail's referer alone", withReferer("https://mail.google.com/", chrome), "human", "human"},
		{"Gmail's sampling", get(sampling), "scanner agent_sampling via gmail", "scanner agent_sampling via gmail"},

		{"Gmail's image proxy", get(gmail), "human agent_image_proxy via gmail within 1m0s unknown", "scanner agent_image_proxy via gmail"},
		{"Yahoo's image proxy", get(yahoo), "human agent_image_proxy via yahoo within 1m0s unknown", "scanner agent_image_proxy via yahoo"},
		{"an image proxy that crawls", get("Googlebot GoogleImageProxy curl/8"), "human agent_image_proxy via gmail within 1m0s unknown", "scanner agent_image_proxy via gmail"},

		{"a gateway", get("Barracuda Sentinel (EE)"), "scanner agent_scanner", "scanner agent_scanner"},
		{"a gateway in capitals", get("MIMECAST"), "scanner agent_scanner", "scanner agent_scanner"},
		{"a link preview", get("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"), "scanner agent_preview", "scanner agent_preview"},
		{"a headless browser", get(strings.Replace(chrome, "Chrome", "HeadlessChrome", 1)), "scanner agent_headless", "scanner agent_headless"},
		{"a library", get("python-requests/2.32.3"), "scanner agent_library", "scanner agent_library"},
		{"a library of mail apps", get("okhttp/4.12.0"), "unknown agent_library", "scanner agent_library"},
		{"Java", get("Java/1.8.0_202"), "unknown agent_library", "scanner agent_library"},
		{"a library of mail apps with a worse word", get("okhttp/4.12.0 Googlebot"), "unknown agent_library", "scanner agent_library"},

		{"a crawler", get("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"), "scanner agent_crawler", "scanner agent_crawler"},
		{"a crawler at the end", get("my bot"), "scanner agent_crawler", "scanner agent_crawler"},
		{"a spider", get("Mozilla/5.0 (compatible; Baiduspider/2.0)"), "scanner agent_crawler", "scanner agent_crawler"},
		{"a crawl", get("heritrix crawl"), "scanner agent_crawler", "scanner agent_crawler"},
		{"letters that go on", get("Mozilla/5.0 (Bottle; Spiderman; Crawley)"), "human", "human"},
		{"a phone", get("Mozilla/5.0 (Linux; Android 9; CUBOT NOTE 20) AppleWebKit/537.36"), "human", "human"},
		{"a phone that crawls", get("Mozilla/5.0 (Linux; Android 9; CUBOT) dotbot/1.0"), "scanner agent_crawler", "scanner agent_crawler"},

		{"Outlook", get(outlook), "human agent_office", "scanner agent_office"},
		{"Office without Outlook", get("Microsoft Office/16.0 (Windows NT 10.0; Microsoft Word 16.0.17928; Pro)"), "human", "human"},
		{"Office discovery", get("Microsoft Office Existence Discovery"), "scanner agent_office_discovery", "scanner agent_office_discovery"},
	}
	rules := Default()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for kind, want := range map[event.Kind]string{event.Open: tt.open, event.Click: tt.click} {
				if got := judged(rules, kind, &tt.req); got != want {
					t.Errorf("%s is judged %q, want %q", kind, got, want)
				}
			}
		})
	}
}

// judged says what the rules make of a request.
func judged(r *Rules, kind event.Kind, req *event.Request) string {
	actor, soon := r.Judge(kind, req, nil)
	s := describe(actor)
	if soon != (event.Soon{}) {
		s += fmt.Sprintf(" within %s %s", time.Duration(soon.Within)*time.Millisecond, soon.Verdict)
	}
	return s
}

func describe(a event.Actor) string {
	s := a.Verdict.String()
	if len(a.Reasons) > 0 {
		s += " " + strings.Join(a.Reasons, ",")
	}
	if a.Via != "" {
		s += " via " + a.Via
	}
	return s
}

// TestOnlyTheBeginningOfALongAgent keeps the work on one request bounded.
func TestOnlyTheBeginningOfALongAgent(t *testing.T) {
	rules := Default()
	for _, tt := range []struct {
		blanks int
		want   event.Verdict
	}{{maxAgent - len("mimecast"), event.Scanner}, {maxAgent - len("mimecast") + 1, event.Human}} {
		req := get(strings.Repeat(" ", tt.blanks) + "mimecast")
		if got, _ := rules.Judge(event.Open, &req, nil); got.Verdict != tt.want {
			t.Errorf("after %d blanks: %s, want %s", tt.blanks, got.Verdict, tt.want)
		}
	}
}

func TestJudgeAllocatesNothing(t *testing.T) {
	rules := Default()
	for _, agent := range []string{chrome, gmail, prefetch, outlook, "", "Mozilla/5.0", "curl/8.5.0"} {
		req := get(agent)
		req.Referer, req.Purpose, req.Accept = "https://mail.google.com/mail/u/0", "prefetch", "*/*"
		req.IP = netip.MustParseAddr("66.249.84.1")
		room := make([]string, 0, MaxReasons)
		if n := testing.AllocsPerRun(100, func() { rules.Judge(event.Click, &req, room[:0]) }); n != 0 {
			t.Errorf("%q: %v allocations", agent, n)
		}
	}
}
