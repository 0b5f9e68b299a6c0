package report

// Courier's report, where its delivery status is lost:
//
//	Your message to the following recipients cannot be delivered:
//
//	<bob@example.com>:
//	    mx.example.com [192.0.2.1]:
//	>>> RCPT TO:<bob@example.com>
//	<<< 550 User unknown
var courierNotice = notice{
	intro: known("the Courier mail server"),
	begin: []byte("Your message to the following recipients"),
}
