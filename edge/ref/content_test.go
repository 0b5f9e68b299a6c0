package ref

import (
	"errors"
	"strings"
	"testing"

	"carom/pipeline/event"
)

func TestCheckURL(t *testing.T) {
	for _, u := range []string{
		"http://example.com", "https://example.com/", "HTTP://EXAMPLE.COM/", "hTTps://example.com:8443/a?b=c#d",
		"https://user:pass@example.com/", "https://[2001:db8::1]/", "https://127.0.0.1", "https://localhost?a", "https://localhost#a",
		"https://bücher.example/straße?q=✉", "https://example.com/\x80\xff", `https://example.com/{{x}}|\^<>"'`, "https://example.com/%zz%",
		"https://example.com/a@b:c", "https://example.com//a", "https://example.com/?u=javascript:alert(1)",
		"https://example.com/?" + strings.Repeat("x", MaxURL-21),
	} {
		if err := CheckURL(u); err != nil {
			t.Errorf("%.80q: %v", u, err)
		}
	}
	for _, c := range []struct{ u, says string }{
		{"", "want http:// or https://"},
		{"example.com", "want http:// or https://"},
		{"/path", "want http:// or https://"},
		{"//example.com/", "want http:// or https://"},
		{"http:/example.com", "want http:// or https://"},
		{"http:example.com", "want http:// or https://"},
		{`http:\\example.com`, "want http:// or https://"},
		{"httpss://example.com", "want http:// or https://"},
		{" https://example.com", "want http:// or https://"},
		{"javascript:alert(1)", "want http:// or https://"},
		{"data:text/html,x", "want http:// or https://"},
		{"ftp://example.com", "want http:// or https://"},
		{"mailto:a@example.com", "want http:// or https://"},
		{"http\u017f://example.com", "want http:// or https://"}, // folds to "s"
		{"https://", "the host is missing"},
		{"https:///", "the host is missing"},
		{"https:///example.com", "the host is missing"},
		{"https://?a", "the host is missing"},
		{"https://#a", "the host is missing"},
		{"https://@/", "the host is missing"},
		{"https://user@", "the host is missing"},
		{"https://:443", "the host is missing"},
		{"https://user@:443/", "the host is missing"},
		{`https://\example.com`, "the host is missing"},
		{"https://example.com/ ", "byte 0x20 at 20"},
		{"https://exa mple.com/", "byte 0x20 at 11"},
		{"https://example.com/\r\nX: y", "byte 0x0d at 20"},
		{"https://example.com/\n", "byte 0x0a at 20"},
		{"https://example.com/\x00", "byte 0x00 at 20"},
		{"https://example.com/\x7f", "byte 0x7f at 20"},
		{"https://example.com/?" + strings.Repeat("x", MaxURL-20), "8193 bytes: want at most 8192"},
	} {
		if err := CheckURL(c.u); !errors.Is(err, ErrURL) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.80q: %v, want %q", c.u, err, c.says)
		}
	}
}

func TestCheckBoundsIDs(t *testing.T) {
	r := event.Ref{Account: "acme", Sender: "alice", Sequence: "q4", Contact: "c", Message: strings.Repeat("m", MaxIDs-12)}
	if err := check(&r, OpenPixel); err != nil {
		t.Error(err)
	}
	r.Sequence = "q4x"
	if err := check(&r, OpenPixel); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "513 bytes together: want at most 512") {
		t.Error(err)
	}
}

func TestCheckNamesTheField(t *testing.T) {
	for name, set := range map[string]func(*event.Ref, string){
		"account":  func(r *event.Ref, s string) { r.Account = s },
		"sender":   func(r *event.Ref, s string) { r.Sender = s },
		"sequence": func(r *event.Ref, s string) { r.Sequence = s },
		"contact":  func(r *event.Ref, s string) { r.Contact = s },
		"message":  func(r *event.Ref, s string) { r.Message = s },
	} {
		for _, s := range []string{"a\nb", "\x00", "a\x7f", "\x1f", "\xc3", "\xed\xa0\x80"} {
			r := event.Ref{Account: "a", Sender: "s", Message: "m"}
			set(&r, s)
			if err := check(&r, OpenPixel); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), ": "+name+" has ") {
				t.Errorf("%s %q: %v", name, s, err)
			}
		}
	}
}
