package inbound

import (
	"testing"

	"carom/edge/report"
	"carom/pipeline/event"
)

// TestWhoseEnvelope: the envelope of a copy is the copier's, and says nothing of who wrote: a reply that is copied from
// the null path stays a reply.
func TestWhoseEnvelope(t *testing.T) {
	mail := []byte("From: Bob <bob@example.com>\nTo: replies@example.com\nMessage-ID: <r@example.com>\nIn-Reply-To: <m@example.org>\nSubject: Re: hello\n\nThank you, let us talk.\n")
	for _, tt := range []struct {
		name, from string
		targets    []target
		envelope   string
		kind       report.Kind
	}{
		{"a reply", "bob@example.com", []target{{role: toReply}}, "bob@example.com", report.Reply},
		{"a machine's", "", []target{{role: toReply}}, report.NullPath, report.AutoReply},
		{"a copy", "", []target{{role: toReplies}}, "", report.Reply},
		{"both", "", []target{{role: toReply, key: event.KeyOf("a", "m")}, {role: toReplies}}, "", report.Reply},
		{"feedback", "fbl@example.net", []target{{role: toFeedback}}, "fbl@example.net", report.Reply},
	} {
		m := &transaction{from: tt.from, targets: tt.targets}
		if got := m.envelope(); got.ReversePath != tt.envelope {
			t.Errorf("%s: %q, want %q", tt.name, got.ReversePath, tt.envelope)
		}
		if got := m.envelope().Read(mail).Facts[0].Kind; got != tt.kind {
			t.Errorf("%s: read as %s, want %s", tt.name, got, tt.kind)
		}
	}
}
