package report

// The DragonFly Mail Agent names the recipient in a sentence and gives what was said in the paragraph below:
//
//	There was an error delivering your mail to <bob@example.com>.
//
//	mx.example.com [192.0.2.1] did not like our RCPT TO:
//	550 5.1.1 <bob@example.com>: User unknown
//
//	Message headers follow.
var dragonflyNotice = notice{
	intro:    known("This is the DragonFly Mail Agent"),
	sentence: []byte("There was an error delivering your mail to <"),
	returned: []string{"Message headers follow", "Original message follows"},
}

func detectDragonfly(r *reader) bool { return dragonflyNotice.detect(r) }

func readDragonfly(r *reader) { dragonflyNotice.read(r) }
