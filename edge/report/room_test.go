package report

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestReadInto holds that a room changes nothing of a report, whatever was read into it before and what others read since.
func TestReadInto(t *testing.T) {
	mails := goldenMails(t)
	var room, other Room
	var before string // the name of the mail in other
	for round := range 2 {
		for _, name := range slices.Sorted(maps.Keys(mails)) {
			want := render(t, name, Read(mails[name]))
			r := Envelope{}.ReadInto(&room, mails[name])
			if before != "" {
				Envelope{ReversePath: NullPath}.ReadInto(&other, mails[before])
			}
			if got := render(t, name, r); !bytes.Equal(got, want) {
				t.Errorf("%s, round %d:\n%s\nwant\n%s", name, round, got, want)
			}
			before = name
			if round == 0 {
				room.Clear()
			}
		}
	}
}

// TestRoomIsBounded holds that a room keeps no more than it says once it is cleared.
func TestRoomIsBounded(t *testing.T) {
	var mail strings.Builder
	mail.WriteString("Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\n")
	for i := range 2 * maxRoomFacts {
		fmt.Fprintf(&mail, "Final-Recipient: rfc822; c%d@example.net\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 %s\n\n", i, strings.Repeat("no ", 300+i))
	}
	mail.WriteString("--b--\n")
	var room Room
	if n := len(Envelope{}.ReadInto(&room, []byte(mail.String())).Facts); n != 2*maxRoomFacts {
		t.Fatalf("%d facts", n)
	}
	if room.Clear(); cap(room.text) > maxRoomText || cap(room.facts) > maxRoomFacts {
		t.Errorf("room for %d bytes and %d facts is kept", cap(room.text), cap(room.facts))
	}
	few := strings.Repeat("Final-Recipient: rfc822; c@example.net\nAction: failed\nStatus: 5.1.1\n\n", maxRoomFacts/2)
	few = "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\n" + few
	if n := len(Envelope{}.ReadInto(&room, []byte(few)).Facts); n != maxRoomFacts/2 {
		t.Fatalf("%d facts", n)
	}
	// Not cleared in between: what the few left behind the one of this mail goes, too.
	small := goldenMails(t)["postfix-dsn"]
	Envelope{}.ReadInto(&room, small)
	if room.Clear(); cap(room.text) == 0 || cap(room.facts) == 0 {
		t.Error("nothing is kept of a small one")
	}
	for _, f := range room.facts[:cap(room.facts)] {
		if f != (Fact{}) {
			t.Errorf("kept: %+v", f)
		}
	}
}
