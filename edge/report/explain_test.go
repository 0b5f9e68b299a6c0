package report

import (
	"reflect"
	"strings"
	"testing"
)

// TestExplainIsRead holds that asking why changes nothing, and that the explanation fits what was decided.
func TestExplainIsRead(t *testing.T) {
	for name, mail := range goldenMails(t) {
		want := Read(mail)
		got, why := Explain(mail)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: Explain reads %+v, Read %+v", name, got, want)
		}
		if len(why.Decisions) != len(got.Facts) {
			t.Fatalf("%s: %d decisions about %d facts", name, len(why.Decisions), len(got.Facts))
		}
		last := why.Decoders[len(why.Decoders)-1]
		if !last.Taken || last.Name != got.Facts[0].Decoder {
			t.Errorf("%s: %q decided, the last asked is %+v", name, got.Facts[0].Decoder, last)
		}
		for i, d := range why.Decisions {
			f := &got.Facts[i]
			if (f.Kind == Bounce || f.Kind == Delay) != (len(d.Steps) > 0 && d.Steps[len(d.Steps)-1].Name == "hard") {
				t.Errorf("%s: steps %+v of a %s", name, d.Steps, f.Kind)
			}
			if hasRow := strings.HasPrefix(f.Rule, "text:") || strings.HasPrefix(f.Rule, "provider:"); hasRow != (d.Match != "") {
				t.Errorf("%s: rule %q, match %q of %q", name, f.Rule, d.Match, d.Text)
			}
		}
	}
}

// TestExplainVague holds that the explanation tells why words that name an unknown user do not make him one.
func TestExplainVague(t *testing.T) {
	_, why := ExplainReply("550 5.7.1 Recipient address rejected: User unknown (in reply to end of DATA command)")
	if s := why.String(); !strings.Contains(s, "no refusal of RCPT beside them: texts.tsv:") {
		t.Error(s)
	}
}

func TestExplainReply(t *testing.T) {
	for _, c := range []struct{ text, taken, row, match, says string }{
		{"550 5.1.1 <bob@example.com>: User unknown", "diagnostic text", "texts.tsv", "user unknown", "hard"},
		{"550 5.1.1 zzz", "enhanced status", "statuses.tsv", "", "the address is bad"},
		{"552 zzz", "reply code", "replycodes.tsv", "", "says nothing bad about the address"},
		{"550 5.7.1 nosuchuser gsmtp", "provider rule", "provider-rules.tsv", "nosuchuser", "provider-rules.tsv:"},
		{"450 zzz zzz", "reply code", "replycodes.tsv", "", "a delay never is"},
		{"554 zzz zzz", "", "", "", "no row for 554"},
	} {
		fact, why := ExplainReply(c.text)
		if want := ReadReply(c.text); fact != want {
			t.Errorf("%s: %+v, ReadReply says %+v", c.text, fact, want)
		}
		d := why.Decisions[0]
		taken := ""
		for _, s := range d.Steps {
			if s.Taken && s.Name != "hard" {
				taken += s.Name
			}
		}
		if taken != c.taken || d.Row.File != c.row || d.Match != c.match || (d.Row.File != "") != (d.Row.Line > 0 && d.Row.Source != "") {
			t.Errorf("%s: %+v", c.text, d)
		}
		if s := why.String(); !strings.Contains(s, c.says) {
			t.Errorf("%s: %q is not in\n%s", c.text, c.says, s)
		}
	}
}

// TestDecodersAreDescribed holds that each decoder says what it is known by and where its form is described.
func TestDecodersAreDescribed(t *testing.T) {
	names := map[string]bool{}
	for i, d := range decoders {
		if names[d.name] || d.trigger == "" || d.source == "" && i < len(decoders)-1 {
			t.Errorf("decoder %q: trigger %q, source %q", d.name, d.trigger, d.source)
		}
		names[d.name] = true
	}
}
