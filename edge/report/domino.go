package report

// Domino's report in words: what was said follows "because:".
//
//	Your message
//	  Subject: …
//	was not delivered to:
//	  bob@example.com
//	because:
//	  User bob (bob@example.com) not listed in Domino Directory
var dominoNotice = notice{
	daemon: true,
	intro:  known("was not delivered to:"),
	begin:  []byte("was not delivered to:"),
	reason: [][]byte{[]byte("because:")},
}
