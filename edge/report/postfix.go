package report

// Postfix before it wrote delivery status, and gateways that remove that part. What was said follows the
// address on its line.
var postfixNotice = notice{
	intro: known("Postfix program at host"),
}

var postfixSystem = notice{
	intro: known("This is the mail system at host"),
}

func detectPostfix(r *reader) bool { return postfixNotice.detect(r) || postfixSystem.detect(r) }

func readPostfix(r *reader) { postfixNotice.read(r) }
