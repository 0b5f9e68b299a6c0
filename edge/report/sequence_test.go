package report

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestReadIntoInAnyOrder reads mails one after the other, in any order, into one room and from one buffer, as inbound does.
// Each must say what a reader says that has never read another, though the buffer is written over before anyone looks.
func TestReadIntoInAnyOrder(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	var mails [][]byte
	for _, mail := range goldenMails(t) {
		mails = append(mails, mail)
	}
	if os.Getenv("CAROM_CORPUS") != "" && !raceDetector {
		mails = append(mails, corpusMails(t)...)
	}
	for _, mail := range slices.Clone(mails) {
		mails = append(mails, mutant(random, mail, mails))
	}
	for _, recipients := range []int{2, maxRoomFacts, maxRoomFacts + 1, 3 * maxPooledFindings, maxFacts + 1} {
		mails = append(mails, reportOf(recipients, random.IntN(200)))
	}
	mails = append(mails, nil, []byte("\r\n"), []byte(strings.ReplaceAll(string(mails[0]), "\n", "\r")))

	envelopes := []Envelope{{}, {NullPath}, {"bob@example.org"}}
	type asked struct{ mail, envelope int }
	alone := map[asked]Report{}
	for i, mail := range mails {
		for j, e := range envelopes {
			r := &reader{tables: compiled(), envelope: e.ReversePath}
			alone[asked{i, j}] = r.read(slices.Clone(mail))
		}
	}
	var group sync.WaitGroup
	for range 2 {
		random := rand.New(rand.NewPCG(random.Uint64(), 0))
		group.Go(func() {
			var room Room
			var body []byte
			before := -1
			for range len(mails) {
				a := asked{random.IntN(len(mails)), random.IntN(len(envelopes))}
				body = append(body[:0], mails[a.mail]...)
				got := envelopes[a.envelope].ReadInto(&room, body)
				for i := range body {
					body[i] = 'x'
				}
				if want := alone[a]; !reflect.DeepEqual(got, want) {
					t.Errorf("seed %d: mail %d behind mail %d:\n%+v\nalone:\n%+v\n%q", seed, a.mail, before, got, want, mails[a.mail])
					return
				}
				if before = a.mail; random.IntN(2) == 0 {
					room.Clear()
				}
			}
		})
	}
	group.Wait()
}

// reportOf is a report about so many recipients, of each of which it says so many bytes.
func reportOf(recipients, bytes int) []byte {
	var b strings.Builder
	b.WriteString("Message-ID: <many@example.net>\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n")
	for i := range recipients {
		fmt.Fprintf(&b, "\r\nFinal-Recipient: rfc822; c%d@example.net\r\nAction: failed\r\nStatus: 5.2.2\r\nRemote-MTA: dns; mx%d.example.com\r\nDiagnostic-Code: smtp; 552 full %d%s\r\n",
			i, i, i, strings.Repeat(" no", bytes/3))
	}
	b.WriteString("--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <original@example.org>\r\n\r\n--b--\r\n")
	return []byte(b.String())
}
