package report

// Yahoo's notice.
var yahooNotice = notice{
	intro:    known("o deliver your message to the following address"),
	begin:    []byte("following address"),
	returned: []string{"--- Below this line is a copy of the message", "--- Original message follows"},
}
