package report

// Systems that took Exim's words over and not its header: GMX, Kundenserver, MX Logic, Zoho, and Exim with its
// header stripped on the way.
var automaticNotice = notice{
	intro: known("This message was created automatically by mail delivery"),
	begin: []byte("following address"),
	returned: []string{
		"--- The header of the original message is following",
		"Included is a copy of the message header",
		"------ This is a copy of ", "----- This is a copy of ",
		"----- Transcript of session follows",
		"Received:from ",
	},
}

func detectAutomatic(r *reader) bool { return automaticNotice.detect(r) }

func readAutomatic(r *reader) { automaticNotice.read(r) }
