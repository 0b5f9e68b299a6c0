package ref

// Purpose is what a token is good for. It is authenticated with the token, so that none serves for another purpose.
type Purpose byte

// The purposes of URL tokens.
const (
	OpenPixel   Purpose = 'o'
	Click       Purpose = 'c'
	Unsubscribe Purpose = 'u'
	Header      Purpose = 'h'
	Self        Purpose = 's' // of a sender and no message
)

// The purposes of address tokens, which are also what their local parts begin with. MailtoUnsubscribe is the letter
// of Unsubscribe; the two can't be confused, because URL and address tokens have keys of their own.
const (
	ReturnPath        Purpose = 'b'
	ReplyTo           Purpose = 'r'
	MailtoUnsubscribe Purpose = 'u'
)

// forURL reports whether URL tokens of this purpose exist.
func (p Purpose) forURL() bool {
	return p == OpenPixel || p == Click || p == Unsubscribe || p == Header || p == Self
}

// forAddress reports whether address tokens of this purpose exist.
func (p Purpose) forAddress() bool {
	return p == ReturnPath || p == ReplyTo || p == MailtoUnsubscribe
}
