package report

// m-FILTER and its kin: an introduction in Japanese that sites change, the addresses, then two sections.
//
//	bob@example.com
//
//	-------server message
//	550 5.1.1 User unknown
//
//	-------SMTP command
//	RCPT TO
//
//	-------original mail info
var mfilterNotice = notice{
	intro:    known("-------server message"),
	reason:   [][]byte{[]byte("-------server message")},
	returned: []string{"-------original mail info", "-------original message"},
}
