package report

import (
	"bytes"
	"reflect"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"
)

// check reports what must hold for whatever mail.
func check(tb testing.TB, r Report) {
	tb.Helper()
	if len(r.Facts) == 0 || len(r.Facts) > maxFacts {
		tb.Fatalf("%d facts", len(r.Facts))
	}
	for i := range r.Facts {
		checkFact(tb, &r.Facts[i])
	}
	clean(tb, "message id", r.MessageID, maxMessageID)
	clean(tb, "original message id", r.OriginalMessageID, maxMessageID)
	clean(tb, "from", r.From, maxAddress)
	clean(tb, "ref", r.OriginalRef, maxRef)
	clean(tb, "subject", r.Subject, maxSubject)
	if len(r.References) > maxReferences {
		tb.Errorf("%d references", len(r.References))
	}
	seen := map[string]bool{}
	for _, id := range r.References {
		clean(tb, "reference", id, maxMessageID)
		if id == "" || seen[id] || strings.ContainsAny(id, "<> \t") {
			tb.Errorf("reference %q is empty, twice or not clean", id)
		}
		seen[id] = true
	}
	if (r.MessageID == "") == (r.Digest == [16]byte{}) {
		tb.Errorf("message id %q with digest %x", r.MessageID, r.Digest)
	}
}

func checkFact(tb testing.TB, f *Fact) {
	tb.Helper()
	clean(tb, "recipient", f.Recipient, maxAddress)
	clean(tb, "status", f.Status, len("5.999.999"))
	clean(tb, "reply code", f.ReplyCode, 3)
	clean(tb, "action", f.Action, 32)
	clean(tb, "diagnostic", f.Diagnostic, maxDiagnostic)
	clean(tb, "remote MTA", f.RemoteMTA, maxHost)
	clean(tb, "feedback type", f.FeedbackType, 64)
	clean(tb, "original message id", f.OriginalMessageID, maxMessageID)
	clean(tb, "source IP", f.SourceIP, 64)
	if f.Decoder == "" {
		tb.Error("no decoder")
	}
	switch f.Kind {
	case Bounce, Delay, Delivered:
		if !categories[f.Category] || f.Rule == "" {
			tb.Errorf("category %q by rule %q", f.Category, f.Rule)
		}
	case Complaint, Unsubscribe, AutoReply, Reply, Other:
		if f.Category != "" || f.Rule != "" {
			tb.Errorf("a %s with category %q by rule %q", f.Kind, f.Category, f.Rule)
		}
	default:
		tb.Errorf("kind %q", f.Kind)
	}
	if f.Hard && (f.Kind != Bounce || f.Category != "invalid_recipient" && f.Category != "bad_domain" && f.Category != "inactive") {
		tb.Errorf("a hard %s of category %s", f.Kind, f.Category)
	}
	if (f.Why != "") != (f.Kind == Other) {
		tb.Errorf("a %s with why %q", f.Kind, f.Why)
	}
}

func clean(tb testing.TB, what, s string, limit int) {
	tb.Helper()
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) || len(s) > limit || strings.TrimSpace(s) != s {
		tb.Errorf("%s: %q is not clean, or longer than %d", what, s, limit)
	}
}

// damages are the ways in which a mail comes to harm, for every one of our own.
var damages = []struct {
	name string
	do   func(mail []byte, i int) []byte
}{
	{"cut", func(m []byte, i int) []byte { return m[:i] }},
	{"beheaded", func(m []byte, i int) []byte { return m[i:] }},
	{"flipped", func(m []byte, i int) []byte { m[i] ^= 1 << (i % 8); return m }},
	{"line dropped", func(m []byte, i int) []byte {
		start, end := lineAround(m, i)
		return append(m[:start:start], m[end:]...)
	}},
	{"line doubled", func(m []byte, i int) []byte {
		start, end := lineAround(m, i)
		return append(append(m[:end:end], m[start:end]...), m[end:]...)
	}},
	{"joined with itself", func(m []byte, i int) []byte { return append(m[:i:i], m...) }},
}

func lineAround(m []byte, i int) (start, end int) {
	start = bytes.LastIndexByte(m[:i], '\n') + 1
	if n := bytes.IndexByte(m[i:], '\n'); n >= 0 {
		return start, i + n + 1
	}
	return start, len(m)
}

func TestDamagedMails(t *testing.T) {
	for name, mail := range goldenMails(t) {
		t.Run(name, func(t *testing.T) { readDamaged(t, mail, 60) })
	}
}

// readDamaged reads a mail after each kind of damage, at about the given number of places.
func readDamaged(t *testing.T, mail []byte, places int) {
	for _, d := range damages {
		for i := 0; i < len(mail); i += 1 + len(mail)/places {
			damaged := d.do(bytes.Clone(mail), i)
			before := bytes.Clone(damaged)
			r := Read(damaged)
			check(t, r)
			if !bytes.Equal(before, damaged) {
				t.Fatalf("%s at %d: Read changed the mail", d.name, i)
			}
			if t.Failed() {
				t.Fatalf("%s at %d:\n%q", d.name, i, damaged)
			}
		}
	}
}

// TestManyAtOnce reads all mails from several goroutines: readers are pooled, and nothing of one mail may show in another.
func TestManyAtOnce(t *testing.T) {
	mails := goldenMails(t)
	want := map[string]Report{}
	for name, mail := range mails {
		want[name] = Read(mail)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				for name, mail := range mails {
					if got := Read(mail); !reflect.DeepEqual(got, want[name]) {
						t.Errorf("%s: got %+v, want %+v", name, got, want[name])
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

// TestBounds feeds what no honest system sends.
func TestBounds(t *testing.T) {
	recipients := bytes.Repeat([]byte("Final-Recipient: rfc822; a@example.com\nAction: failed\nStatus: 5.1.1\n\n"), 3*maxFacts)
	for name, c := range map[string]struct {
		mail []byte
		want int
	}{
		"recipients":    {append([]byte("From: mailer-daemon@example.com\nContent-Type: message/delivery-status\n\n"), recipients...), maxFacts},
		"complaints":    {append([]byte("From: a@example.com\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\n"), bytes.Repeat([]byte("Original-Rcpt-To: a@example.com\n"), 3*maxFacts)...), maxFacts},
		"parts":         {filled("From: a@example.com\nContent-Type: multipart/mixed; boundary=b\n\n", "--b\n\nx\n", 1<<20), 1},
		"depth":         {nestedParts(1 << 20), 1},
		"long line":     {filled("From: a@example.com\nSubject: ", "x", 1<<20), 1},
		"many headers":  {filled("From: a@example.com\n", "X-A: b\n", 1<<20), 1},
		"many folds":    {filled("From: a@example.com\nReferences:", "\n <a@b>", 1<<20), 1},
		"many ids":      {filled("From: a@example.com\nReferences: ", "<a@b><c@d>", 1<<17), 1},
		"brackets":      {filled("From: ", "<", 1<<20), 1},
		"at signs":      {filled("From: ", "@", 1<<20), 1},
		"quotes":        {filled("From: ", "\"@", 1<<20), 1},
		"encoded words": {filled("From: a@example.com\nSubject: ", "=?utf-8?q?=41?= ", 1<<20), 1},
		"boundaries":    {filled("From: a@example.com\nContent-Type: multipart/mixed; ", "boundary=", 1<<20), 1},
		"entities":      {filled("From: mailer-daemon@example.com\nContent-Type: text/html\n\n", "&<style>", 1<<20), 1},
		"soft breaks":   {filled("From: mailer-daemon@example.com\nContent-Transfer-Encoding: quoted-printable\n\n", "=   ", 1<<20), 1},
		"addresses":     {filled("From: mailer-daemon@example.com\nSubject: failure notice\n\n", "a@b.example\n", 1<<20), 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := Read(c.mail)
			check(t, r)
			if len(r.Facts) != c.want {
				t.Errorf("%d facts, want %d", len(r.Facts), c.want)
			}
		})
	}
}

// TestReferencesAreTheNearest holds that a long thread keeps the mails next to the answer.
func TestReferencesAreTheNearest(t *testing.T) {
	mail := []byte("From: bob@example.net\nIn-Reply-To: <parent@example.com>\nReferences: <root@example.com>\n")
	for i := range 3 * maxReferences {
		mail = append(mail, " <"+strings.Repeat("i", 1+i)+"@example.com>\n"...)
	}
	mail = append(mail, " <parent@example.com>\n\nYes.\n"...)
	r := Read(mail)
	check(t, r)
	if len(r.References) != maxReferences || r.References[0] != "parent@example.com" || r.References[1] != strings.Repeat("i", 3*maxReferences)+"@example.com" {
		t.Errorf("%d references: %q", len(r.References), r.References[:2])
	}
}

// TestAllocations holds what one mail costs the collector: the facts and the one string that they are cut from,
// and for replies the list of references.
func TestAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector empties pools at random")
	}
	mails := goldenMails(t)
	for name, want := range map[string]float64{
		"postfix-dsn": 2, "exim": 2, "qmail": 4, "feedback-abuse": 2, "reply": 3, "vacation": 3,
	} {
		mail := mails[name]
		if got := testing.AllocsPerRun(200, func() { Read(mail) }); got > want {
			t.Errorf("%s: %v allocations, want %v", name, got, want)
		}
		var room Room
		want -= 2
		if got := testing.AllocsPerRun(200, func() { Envelope{}.ReadInto(&room, mail) }); got > want {
			t.Errorf("%s, with room for it: %v allocations, want %v", name, got, want)
		}
	}
}
