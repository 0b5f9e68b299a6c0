package report

// Yahoo's notice, which Yahoo Japan and systems of the same family share.
var yahooNotice = notice{
	intro:    []byte("o deliver your message to the following address"),
	begin:    []byte("following address"),
	returned: []string{"--- Below this line is a copy of the message", "--- Original message follows"},
}

var yahooFamilyNotice = notice{
	intro:    []byte("Unable to deliver message to the following address"),
	begin:    []byte("following address"),
	returned: []string{"--- Below this line is a copy of the message", "--- Original message follows"},
}

func detectYahoo(r *reader) bool { return yahooNotice.detect(r) || yahooFamilyNotice.detect(r) }

func readYahoo(r *reader) { yahooNotice.read(r) }
