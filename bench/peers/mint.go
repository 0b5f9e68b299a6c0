package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"

	"carom/edge/ref"
	"carom/pipeline/event"
)

// minter makes what only Carom understands and what every peer is asked with all the same.
type minter struct {
	keys *ref.Keyring
	run  string // tells the messages of this run from those of all others
}

func newMinter(keysFile string) (*minter, error) {
	keys, err := ref.ReadKeyring(keysFile)
	if err != nil {
		return nil, err
	}
	return &minter{keys: keys, run: rand.Text()[:8]}, nil
}

// ref returns the n-th message. Its fields have lengths as in a platform's day, and the same for every n.
func (m *minter) ref(n int) event.Ref {
	return event.Ref{
		Account: "acme", Sender: "alice@example.com", Sequence: "autumn-sale",
		Contact: fmt.Sprintf("c-%010d", n),
		Message: fmt.Sprintf("%s.%010d@mail.example.com", m.run, n),
	}
}

// A reader's request as it comes through a mail program.
const requestTail = " HTTP/1.1\r\nHost: " + trackHost + "\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0\r\n" +
	"Accept: image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5\r\n\r\n"

// appendRequest appends the request for the pixel of the n-th message. All have the same length.
func (m *minter) appendRequest(dst []byte, n int) ([]byte, error) {
	r := m.ref(n)
	dst, err := m.keys.Seal(append(dst, "GET /o/"...), ref.OpenPixel, &r)
	if err != nil {
		return dst, err
	}
	return append(append(dst, ".gif"...), requestTail...), nil
}

// writeRequests writes the requests for count pixels, one after the other, and returns the length of each.
func (m *minter) writeRequests(file string, count int) (length int, err error) {
	f, err := os.Create(file)
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	var request []byte
	for n := range count {
		if request, err = m.appendRequest(request[:0], n); err != nil {
			break
		}
		if n == 0 {
			length = len(request)
		} else if len(request) != length {
			err = fmt.Errorf("BUG: request %d has %d bytes, the first %d", n, len(request), length)
			break
		}
		_, _ = w.Write(request) // Flush tells
	}
	return length, errors.Join(err, w.Flush(), f.Close())
}

// bounce returns a mail about the n-th message, and the address to which it goes: the delivery status notification of
// an MTA that knows no such user, with the headers of what bounced.
func (m *minter) bounce(n int) (to, mail string, err error) {
	r := m.ref(n)
	header, err := m.keys.Seal(nil, ref.Header, &r)
	if err != nil {
		return "", "", err
	}
	local := m.keys.SealAddress([]byte("b-"), ref.ReturnPath, event.KeyOf(r.Account, r.Message))
	to = string(local) + "@" + bounceDomain
	fill := strings.NewReplacer("RETURN-PATH", to, "CONTACT", r.Contact+"@example.net", "SENDER", r.Sender, "MESSAGE-ID", r.Message, "REF", string(header))
	return to, strings.ReplaceAll(fill.Replace(bounceText), "\n", "\r\n"), nil
}

const bounceText = `Received: by mx.example.net (MTA) id 4fT2Kc0x2Zz9v; Sat, 21 Nov 2026 17:45:03 +0000 (UTC)
Date: Sat, 21 Nov 2026 17:45:03 +0000 (UTC)
From: MAILER-DAEMON@mx.example.net (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: RETURN-PATH
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="4fT2Kc0x2Zz9v.1795110303/mx.example.net"
Message-Id: <20261121174503.4fT2Kc0x2Zz9v@mx.example.net>

This is a MIME-encapsulated message.

--4fT2Kc0x2Zz9v.1795110303/mx.example.net
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.example.net.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients. It's attached below.

<CONTACT>: host mail.example.net[192.0.2.25] said: 550 5.1.1
    <CONTACT>: Recipient address rejected: User unknown in virtual
    mailbox table (in reply to RCPT TO command)

--4fT2Kc0x2Zz9v.1795110303/mx.example.net
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net
Arrival-Date: Sat, 21 Nov 2026 17:45:01 +0000 (UTC)

Final-Recipient: rfc822; CONTACT
Original-Recipient: rfc822;CONTACT
Action: failed
Status: 5.1.1
Remote-MTA: dns; mail.example.net
Diagnostic-Code: smtp; 550 5.1.1 <CONTACT>: Recipient address rejected: User
    unknown in virtual mailbox table

--4fT2Kc0x2Zz9v.1795110303/mx.example.net
Content-Description: Undelivered Message Headers
Content-Type: text/rfc822-headers

Return-Path: <RETURN-PATH>
Date: Sat, 21 Nov 2026 17:45:00 +0000
From: SENDER
To: CONTACT
Subject: Autumn sale
Message-ID: <MESSAGE-ID>
X-Carom-Ref: REF
MIME-Version: 1.0
Content-Type: text/html; charset=utf-8

--4fT2Kc0x2Zz9v.1795110303/mx.example.net--
`

func withoutCR(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }
