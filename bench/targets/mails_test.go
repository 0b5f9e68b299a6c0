package targets

import (
	"bytes"
	"context"
	"math"
	"net/mail"
	"strings"
	"testing"

	"carom/edge/ref"
	"carom/edge/report"
	"carom/pipeline/event"
)

const testKeys = `
version: 1
keys:
  - {id: 2, state: seal, secret: "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="}
`

func testOptions(t testing.TB) MailOptions {
	t.Helper()
	keys, err := ref.ParseKeyring([]byte(testKeys))
	if err != nil {
		t.Fatal(err)
	}
	o := DefaultMails()
	o.Keys, o.BounceDomain, o.ReplyDomain, o.Feedback = keys, "bounce.example.com", "reply.example.com", "fbl@bounce.example.com"
	o.Run = "run1"
	return o
}

// generate returns n mails, each a copy.
func generate(t testing.TB, o MailOptions, n int) (mails []Mail) {
	t.Helper()
	g, err := NewGenerator(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	feed := g.Feed()
	for range n {
		m, err := feed.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		c := *m
		c.Content, c.From, c.To = bytes.Clone(m.Content), bytes.Clone(m.From), nil
		for _, to := range m.To {
			c.To = append(c.To, bytes.Clone(to))
		}
		mails = append(mails, c)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	return mails
}

// Every mail is one that tells one fact, of its kind, about a message of its own.
func TestGenerator(t *testing.T) {
	o := testOptions(t)
	var err error
	if o.Mix, err = ParseMix("bounce=4,delay=1,complaint=1,reply=1,auto_reply=1,unsubscribe=1"); err != nil {
		t.Fatal(err)
	}
	for _, recipients := range []int{1, 3} {
		for _, size := range []string{"0", "8k", "100..20k"} {
			o.Recipients = recipients
			if o.Sizes, err = ParseSizes(size); err != nil {
				t.Fatal(err)
			}
			seen := map[event.Key]bool{}
			kinds := map[string]int{}
			for _, m := range generate(t, o, 500) {
				kinds[m.Kind]++
				checkMail(t, &o, &m, seen)
			}
			if len(kinds) != 6 {
				t.Errorf("kinds: %v", kinds)
			}
			if len(seen) != 500*recipients {
				t.Errorf("%d messages of %d", len(seen), 500*recipients)
			}
		}
	}
}

func checkMail(t *testing.T, o *MailOptions, m *Mail, seen map[event.Key]bool) {
	t.Helper()
	if _, err := mail.ReadMessage(bytes.NewReader(m.Content)); err != nil {
		t.Fatalf("%v: %s", err, m.Content)
	}
	if len(m.Content) < o.Sizes.From || len(m.Content) > o.Sizes.To+3000 {
		t.Fatalf("%d bytes, not %v: %s", len(m.Content), o.Sizes, m.Content)
	}
	if !m.Plain || m.Facts != 1 || m.EightBit {
		t.Fatalf("%+v", m)
	}
	if n := NewMail(m.Content); !n.Plain || n.EightBit || !bytes.Equal(n.Content, m.Content) {
		t.Fatalf("not plain: %q", m.Content)
	}
	e := report.Envelope{ReversePath: report.NullPath}
	if len(m.From) > 0 {
		e.ReversePath = string(m.From)
	}
	r := e.Read(m.Content)
	want := map[string]report.Kind{
		Bounce: report.Bounce, Delay: report.Delay, Complaint: report.Complaint, Reply: report.Reply,
		AutoReply: report.AutoReply, Unsubscribe: report.Unsubscribe,
	}[m.Kind]
	if m.Kind == Unsubscribe { // the address says it, the mail need not
		if r.ByMachine {
			t.Fatalf("not from a human: %s", m.Content)
		}
	} else if len(r.Facts) != 1 || r.Facts[0].Kind != want {
		t.Fatalf("%s: %+v: %s", m.Kind, r.Facts, m.Content)
	}
	if len(m.To) != o.Recipients {
		t.Fatalf("%d recipients", len(m.To))
	}
	for i, to := range m.To {
		key, ok := keyOf(o, m, i, string(to), &r)
		if !ok {
			t.Fatalf("recipient %q of a %s", to, m.Kind)
		}
		if seen[key] {
			t.Fatal("two mails about one message")
		}
		seen[key] = true
	}
}

func keyOf(o *MailOptions, m *Mail, i int, to string, r *report.Report) (event.Key, bool) {
	if m.Kind == Complaint && i == 0 {
		var opened ref.Opened
		err := o.Keys.Open(ref.Header, []byte(r.OriginalRef), &opened)
		return opened.Key, to == o.Feedback && err == nil
	}
	local, domain, _ := strings.Cut(to, "@")
	purpose, want := ref.ReturnPath, o.BounceDomain
	switch m.Kind {
	case Reply, AutoReply:
		purpose, want = ref.ReplyTo, o.ReplyDomain
	case Unsubscribe:
		purpose = ref.MailtoUnsubscribe
	}
	key, err := o.Keys.OpenAddress(purpose, local[2:])
	return key, err == nil && domain == want && local[0] == byte(purpose)
}

// The same seed draws the same mails.
func TestGeneratorSeed(t *testing.T) {
	o := testOptions(t)
	kinds := func() (all string) {
		for _, m := range generate(t, o, 200) {
			all += m.Kind + " " + string(m.To[0]) + "\n"
		}
		return all
	}
	first := kinds()
	if kinds() != first {
		t.Error("two runs with one seed differ")
	}
	if o.Seed++; kinds() == first {
		t.Error("two seeds make no difference")
	}
}

func TestMixShares(t *testing.T) {
	counts := map[string]int{}
	for _, m := range generate(t, testOptions(t), 5000) {
		counts[m.Kind]++
	}
	for kind, share := range map[string]float64{Bounce: .7, Complaint: .1, Reply: .15, AutoReply: .05} {
		if got := float64(counts[kind]) / 5000; math.Abs(got-share) > .03 {
			t.Errorf("%s: %v, not %v", kind, got, share)
		}
	}
}

func TestParse(t *testing.T) {
	for _, bad := range []string{"", "bounce", "bounce=x", "bounce=-1", "bounce=NaN", "bounce=0", "bounce=1,bounce=1", "letter=1", "bounce=1,,reply=1"} {
		if _, err := ParseMix(bad); err == nil {
			t.Errorf("mix %q is taken", bad)
		}
	}
	for _, bad := range []string{"", "x", "-1", "1..", "2k..1k", "1g", "100m", "99999999999999999999k"} {
		if _, err := ParseSizes(bad); err == nil {
			t.Errorf("size %q is taken", bad)
		}
	}
	if s, err := ParseSizes("2k..1M"); err != nil || s != (Sizes{2048, 1 << 20}) {
		t.Errorf("%v, %v", s, err)
	}
}

func BenchmarkGenerator(b *testing.B) {
	g, err := NewGenerator(testOptions(b))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	batch := new(mailBatch)
	for n := 0; n < b.N; n += len(batch.mails) {
		if err := g.fill(batch); err != nil {
			b.Fatal(err)
		}
	}
}
