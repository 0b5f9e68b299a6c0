package mails

import (
	"testing"

	"carom/edge/report"
)

// What each style of server says of each trouble is read as what it is.
func TestReports(t *testing.T) {
	original := Original{
		Message: "1.run@mail.example.com", From: "s@example.com", Recipient: "bob@example.net", Subject: "x",
		ReturnPath: "b-x@bounce.example.com", ReplyTo: "r-x@reply.example.com",
	}
	for _, s := range Styles {
		for _, size := range []int{0, 10_000} {
			for _, why := range append(append([]Diagnosis(nil), Diagnoses...), Delays...) {
				text := AppendReport(nil, &original, &s, &why, []byte("Sat, 21 Nov 2026 17:45:03 +0000"), size)
				r := report.Envelope{ReversePath: report.NullPath}.Read(text)
				if len(r.Facts) != 1 {
					t.Fatalf("%s, %s: %+v: %s", s.Name, why.Text, r.Facts, text)
				}
				f := r.Facts[0]
				if f.Hard != why.Hard || f.Status != why.Status || f.Action != why.Action || f.Recipient != original.Recipient || f.Category == "other" {
					t.Errorf("%s, %s: %+v", s.Name, why.Text, f)
				}
			}
		}
	}
}
