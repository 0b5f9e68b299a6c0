package mails

import "time"

// About is the message that a mail is about.
type About struct {
	Message    string // its Message-ID, without brackets
	Sender     string // who sent it, as the local part of an address
	Recipient  string
	ReturnPath string // where reports go
	ReplyTo    string // where answers go
	Ref        string // X-Carom-Ref
}

// Status is what a status report tells.
type Status struct {
	Action     string // failed, delayed
	Code       string // enhanced status, 5.1.1
	Diagnostic string // what the other server said
}

// StatusReport returns a delivery status notification (RFC 3464) about m.
func StatusReport(m *About, s Status, now time.Time) string {
	why := Diagnosis{Action: s.Action, Status: s.Code, Text: s.Diagnostic}
	return string(AppendReport(nil, m.original(), &Styles[0], &why, date(now), 0))
}

// Reply returns a person's answer to m.
func Reply(m *About, now time.Time) string {
	return string(AppendReply(nil, m.original(), 0, date(now), 0))
}

// Vacation returns the answer of a mailbox whose owner is away (RFC 3834).
func Vacation(m *About, now time.Time) string {
	return string(AppendAutoReply(nil, m.original(), 0, date(now), 0))
}

// Complaint returns a feedback report (RFC 5965) about m.
func Complaint(m *About, to string, now time.Time) string {
	return string(AppendComplaint(nil, m.original(), to, 0, date(now), 0))
}

func (m *About) original() *Original {
	return &Original{
		Message: m.Message, From: m.Sender + "@example.com", Recipient: m.Recipient, Subject: "your mail",
		ReturnPath: m.ReturnPath, ReplyTo: m.ReplyTo, Ref: m.Ref,
	}
}

func date(t time.Time) []byte { return AppendDate(nil, t) }

// AppendDate appends a time as mails tell it (RFC 5322 §3.3).
func AppendDate(dst []byte, t time.Time) []byte {
	return t.AppendFormat(dst, "Mon, 02 Jan 2006 15:04:05 -0700")
}
