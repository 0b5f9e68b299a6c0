package report

// Exchange 5.5 to 2003: the address and a date on one line, what was said indented below. Exchange 2007 and later
// write delivery status; where that is lost, the section for administrators names address and reply.
var exchangeNotice = notice{
	intro: known("did not reach "),
	begin: []byte("following recipient(s)"),
}

var exchangeOldNotice = notice{
	intro: known("following recipient(s) could not be reached:"),
	begin: []byte("could not be reached:"),
}

var exchangeAdministrators = notice{
	intro:    known("Diagnostic information for administrators:"),
	begin:    []byte("Diagnostic information for administrators:"),
	returned: []string{"Original message headers:"},
}

var exchangeNotices = [...]*notice{&exchangeOldNotice, &exchangeNotice, &exchangeAdministrators}

func detectExchange(r *reader) bool {
	for _, n := range exchangeNotices {
		if n.detect(r) {
			return true
		}
	}
	return false
}

func readExchange(r *reader) {
	for _, n := range exchangeNotices {
		if n.detect(r) {
			n.read(r)
			return
		}
	}
}
