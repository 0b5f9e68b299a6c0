package inbound

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"carom/edge/ref"
	"carom/edge/report"
	"carom/pipeline/event"
)

const now event.Millis = 1795283103120

// factIs makes a report of facts of these kinds.
func factIs(kinds ...report.Kind) report.Report {
	r := report.Report{MessageID: "r-1@mx.example.net", From: "bob@example.org"}
	for _, k := range kinds {
		r.Facts = append(r.Facts, report.Fact{Kind: k})
	}
	return r
}

func TestEventsOf(t *testing.T) {
	key := messageKey()
	full := &ref.Opened{Key: key, Ref: message}
	other := &ref.Opened{Key: event.KeyOf("acme", "another"), Ref: event.Ref{Account: "acme", Message: "another"}}
	mail := event.Mail{ID: "r-1@mx.example.net", From: "bob@example.org"}
	referring := mail
	referring.References = true
	with := func(r report.Report, change func(*report.Report)) report.Report { change(&r); return r }
	refers := func(ids ...string) func(*report.Report) { return func(r *report.Report) { r.References = ids } }
	returned := func(id string) func(*report.Report) { return func(r *report.Report) { r.OriginalMessageID = id } }
	byMachine := func(r *report.Report) { r.ByMachine = true }
	b, r, u := target{toReturnPath, key}, target{toReply, key}, target{toUnsubscribe, key}
	fbl, replies, operator := target{role: toFeedback}, target{role: toReplies}, target{role: toOperator}

	for _, tt := range []struct {
		name    string
		report  report.Report
		header  *ref.Opened
		targets []target
		want    []event.Event
		ignored map[string]int
	}{
		// By address token.
		{
			"bounce to a return path", factIs(report.Bounce), nil,
			[]target{b},
			[]event.Event{{Kind: event.Bounce, Key: key, KnownBy: event.ByKey, Mail: mail}},
			nil,
		},
		{
			"delay", factIs(report.Delay), nil,
			[]target{b},
			[]event.Event{{Kind: event.Delay, Key: key, KnownBy: event.ByKey, Mail: mail}},
			nil,
		},
		{
			"delivered", factIs(report.Delivered), nil,
			[]target{b},
			[]event.Event{{Kind: event.Delivered, Key: key, KnownBy: event.ByKey, Mail: mail}},
			nil,
		},
		{
			"auto-reply", factIs(report.AutoReply), nil,
			[]target{b},
			[]event.Event{{Kind: event.AutoReply, Key: key, KnownBy: event.ByKey, Mail: mail}},
			nil,
		},
		{
			"complaint", factIs(report.Complaint), nil,
			[]target{b},
			[]event.Event{{Kind: event.Complaint, Key: key, KnownBy: event.ByKey, Mail: mail}},
			nil,
		},
		{
			"several facts, several recipients", factIs(report.Bounce, report.Delay), nil,
			[]target{b, r},
			[]event.Event{
				{Kind: event.Bounce, Key: key, KnownBy: event.ByKey, Mail: mail},
				{Kind: event.Delay, Key: key, KnownBy: event.ByKey, Mail: mail},
				{Kind: event.Bounce, Key: key, KnownBy: event.ByKey, Mail: event.Mail{ID: mail.ID, From: mail.From, ReplyAddress: true}},
				{Kind: event.Delay, Key: key, KnownBy: event.ByKey, Mail: event.Mail{ID: mail.ID, From: mail.From, ReplyAddress: true}},
			},
			nil,
		},

		// The header adds the identity, if it is the same.
		{
			"header of the same message", factIs(report.Bounce), full,
			[]target{b},
			[]event.Event{{Kind: event.Bounce, Key: key, KnownBy: event.ByRef, Ref: message, Mail: referring}},
			nil,
		},
		{
			"header of another message", factIs(report.Bounce), other,
			[]target{b},
			[]event.Event{{Kind: event.Bounce, Key: key, KnownBy: event.ByKey, Mail: mail}},
			nil,
		},

		// Replies.
		{
			"reply to a reply address", factIs(report.Reply), nil,
			[]target{r},
			[]event.Event{{Kind: event.Reply, Key: key, KnownBy: event.ByKey, Mail: event.Mail{ID: mail.ID, From: mail.From, ReplyAddress: true}}},
			nil,
		},
		{
			"reply to a return path", factIs(report.Reply), nil,
			[]target{b},
			[]event.Event{{Kind: event.Reply, Key: key, KnownBy: event.ByKey, Mail: mail}},
			nil,
		},
		{
			"reply to a return path that refers to the message", with(factIs(report.Reply), refers("x@example.org", message.Message)), nil,
			[]target{b},
			[]event.Event{{Kind: event.Reply, Key: key, KnownBy: event.ByKey, Mail: referring}},
			nil,
		},
		{
			"reply to a return path that refers in brackets", with(factIs(report.Reply), refers("<"+message.Message+">")), nil,
			[]target{b},
			[]event.Event{{Kind: event.Reply, Key: key, KnownBy: event.ByKey, Mail: referring}},
			nil,
		},
		{
			"reply to a return path that refers to something else", with(factIs(report.Reply), refers("x@example.org", "")), nil,
			[]target{b},
			[]event.Event{{Kind: event.Reply, Key: key, KnownBy: event.ByKey, Mail: mail}},
			nil,
		},

		// Unsubscribing by mail.
		{
			"anything to an unsubscribe address", factIs(report.Reply), nil,
			[]target{u},
			[]event.Event{{Kind: event.Unsubscribe, Key: key, KnownBy: event.ByKey, Mail: mail}},
			nil,
		},
		{
			"an empty mail to an unsubscribe address", factIs(report.Other), nil,
			[]target{u},
			[]event.Event{{Kind: event.Unsubscribe, Key: key, KnownBy: event.ByKey, Mail: mail}},
			nil,
		},
		{
			"a vacation notice to an unsubscribe address", factIs(report.AutoReply), nil,
			[]target{u},
			[]event.Event{{Kind: event.AutoReply, Key: key, KnownBy: event.ByKey, Mail: mail}},
			nil,
		},
		{
			"a bounce to an unsubscribe address", factIs(report.Other, report.Bounce), nil,
			[]target{u},
			[]event.Event{{Kind: event.Bounce, Key: key, KnownBy: event.ByKey, Mail: mail}},
			map[string]int{ignoredOther: 1},
		},
		{
			"a machine's mail that tells nothing to an unsubscribe address", with(factIs(report.Other), byMachine), nil,
			[]target{u},
			nil,
			map[string]int{ignoredOther: 1},
		},
		{
			"a machine's opt-out to an unsubscribe address", with(factIs(report.Unsubscribe), byMachine), nil,
			[]target{u},
			[]event.Event{{Kind: event.Unsubscribe, Key: key, KnownBy: event.ByKey, Mail: mail}},
			nil,
		},
		{
			"an opt-out to an unsubscribe address", factIs(report.Unsubscribe), nil,
			[]target{u},
			[]event.Event{{Kind: event.Unsubscribe, Key: key, KnownBy: event.ByKey, Mail: mail}},
			nil,
		},

		// Fixed addresses: by header, then by Message-ID.
		{
			"feedback with header", with(factIs(report.Complaint), returned("else@example.com")), full,
			[]target{fbl},
			[]event.Event{{Kind: event.Complaint, Key: key, KnownBy: event.ByRef, Ref: message, Mail: referring}},
			nil,
		},
		{
			"feedback with a Message-ID", with(factIs(report.Complaint), returned("<"+message.Message+"> ")), nil,
			[]target{fbl},
			[]event.Event{{Kind: event.Complaint, Key: event.PartialKey(message.Message), KnownBy: event.ByMessageID, Ref: event.Ref{Message: message.Message}, Mail: referring}},
			nil,
		},
		{
			"bounce to a fixed address", with(factIs(report.Bounce), returned(message.Message)), nil,
			[]target{fbl},
			[]event.Event{{Kind: event.Bounce, Key: event.PartialKey(message.Message), KnownBy: event.ByMessageID, Ref: event.Ref{Message: message.Message}, Mail: referring}},
			nil,
		},
		{"feedback about nothing", factIs(report.Complaint), nil, []target{fbl}, nil, map[string]int{ignoredUnmatched: 1}},
		{"feedback about an empty id", with(factIs(report.Complaint), returned("<> ")), nil, []target{fbl}, nil, map[string]int{ignoredUnmatched: 1}},
		{"feedback about an enrollment's id", with(factIs(report.Complaint), returned(event.EnrollmentID("a", "b", "c", "d"))), nil, []target{fbl}, nil, map[string]int{ignoredUnmatched: 1}},
		{"reply to a feedback address", with(factIs(report.Reply), refers(message.Message)), full, []target{fbl}, nil, map[string]int{ignoredMisdirected: 1}},
		{
			"copy of a reply", with(factIs(report.Reply), refers(message.Message, "earlier@example.com")), nil,
			[]target{replies},
			[]event.Event{{Kind: event.Reply, Key: event.PartialKey(message.Message), KnownBy: event.ByMessageID, Ref: event.Ref{Message: message.Message}, Mail: referring}},
			nil,
		},
		{
			"copy of a reply that quotes the header", factIs(report.Reply), full,
			[]target{replies},
			[]event.Event{{Kind: event.Reply, Key: key, KnownBy: event.ByRef, Ref: message, Mail: referring}},
			nil,
		},
		{"copy of a reply to nothing", factIs(report.Reply), nil, []target{replies}, nil, map[string]int{ignoredUnmatched: 1}},

		// Nothing.
		{"nothing told", factIs(report.Other), nil, []target{b, fbl}, nil, map[string]int{ignoredOther: 2}},
		{"to the operator", factIs(report.Bounce), full, []target{operator}, nil, nil},
		{"an unknown kind", factIs("surprise"), nil, []target{b}, nil, map[string]int{ignoredOther: 1}},
	} {
		for i := range tt.want {
			tt.want[i].Time = now
		}
		events, ignored := new(telling).eventsOf(&tt.report, tt.header, tt.targets, now)
		got := []event.Event{}
		for _, e := range events {
			got = append(got, *e)
		}
		if len(got)+len(tt.want) > 0 && !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, asJSON(got), asJSON(tt.want))
		}
		if !maps.Equal(ignored, tt.ignored) {
			t.Errorf("%s: ignored %v, want %v", tt.name, ignored, tt.ignored)
		}
	}
}

func asJSON(v any) string {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestEventFields(t *testing.T) {
	r := report.Report{From: "bob\xff@example.org", Digest: [16]byte{0xab, 15: 0xcd}, Facts: []report.Fact{
		{
			Kind: report.Bounce, Recipient: "bob@example.org", Status: "5.1.1", ReplyCode: "550", Action: "failed",
			Category: "invalid_recipient", Hard: true, Diagnostic: "no \xffsuch user", RemoteMTA: "mx.example.org", Provider: "google", Rule: "status:5.1.1",
			FeedbackType: "abuse",
		},
		{Kind: report.Complaint, FeedbackType: "not-spam", Category: "virus"},
	}}
	events, _ := new(telling).eventsOf(&r, nil, []target{{toReturnPath, messageKey()}}, now)
	mail := event.Mail{ID: "ab0000000000000000000000000000cd", From: "bob�@example.org"}
	complaint := mail
	complaint.FeedbackType = "not-spam"
	want := []*event.Event{
		{
			Kind: event.Bounce, Time: now, Key: messageKey(), KnownBy: event.ByKey, Recipient: "bob@example.org", Mail: mail,
			Bounce: event.Diagnosis{
				Hard: true, Category: "invalid_recipient", Status: "5.1.1", ReplyCode: "550", Action: "failed",
				RemoteMTA: "mx.example.org", Diagnostic: "no �such user", Provider: "google", Rule: "status:5.1.1",
			},
		},
		{Kind: event.Complaint, Time: now, Key: messageKey(), KnownBy: event.ByKey, Mail: complaint},
	}
	if !reflect.DeepEqual(events, want) {
		t.Errorf("got %s\nwant %s", asJSON(events), asJSON(want))
	}
}

func TestEventsAreBounded(t *testing.T) {
	r := factIs()
	for range 300 {
		r.Facts = append(r.Facts, report.Fact{Kind: report.Bounce})
	}
	var targets []target
	for i := range 5 {
		targets = append(targets, target{toReturnPath, event.KeyOf("acme", fmt.Sprint(i))})
	}
	events, ignored := new(telling).eventsOf(&r, nil, targets, now)
	if len(events) != maxEvents || ignored[ignoredExcess] != 500 {
		t.Errorf("%d events, ignored %v", len(events), ignored)
	}
}

func TestMailIDIsClean(t *testing.T) {
	for id, want := range map[string]string{
		"a@example.org": "a@example.org", " <a@example.org> ": "a@example.org", "<>": strings.Repeat("0", 32), "": strings.Repeat("0", 32),
	} {
		if got := mailID(&report.Report{MessageID: id}); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
}
