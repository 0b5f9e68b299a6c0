package report

// A system that is not known by name (X3 in the literature), between rulers:
//
//	Delivery to the following recipients failed permanently:
//
//	   * bob@example.com
//
//	                             Technical details:
//
//	SMTP:RCPT host 192.0.2.8: 553 5.3.0 No such user here
var x3Notice = notice{
	daemon: true,
	intro:  known("This is an automatically generated Delivery Status Notification."),
	begin:  []byte("to the following recipients"),
	reason: [][]byte{[]byte("Technical details:")},
}
