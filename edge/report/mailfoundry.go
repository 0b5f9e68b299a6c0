package report

// MailFoundry:
//
//	Unable to deliver message to: <bob@example.com>
//	Delivery failed for the following reason:
//	mx.example.com[192.0.2.1] responded with failure: 550 5.1.1 User unknown
var mailfoundryNotice = notice{
	intro:    known("Delivery failed for the following reason:"),
	sentence: []byte("Unable to deliver message to: <"),
}
