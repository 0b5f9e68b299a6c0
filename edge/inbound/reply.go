package inbound

import (
	"strconv"

	"github.com/emersion/go-smtp"
)

// reply is an SMTP reply with its enhanced code (RFC 3463).
type reply = smtp.SMTPError

// The replies. 4xx: the client tries again; so it is for everything that is our own trouble. 5xx: it gives up, and a
// bounce or complaint is lost; so it is only for what can't become right.
var (
	replyBye       = &reply{Code: 221, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: "Bye"}
	replyOk        = &reply{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: "Ok"}
	replySender    = &reply{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 1, 0}, Message: "Sender ok"}
	replyRecipient = &reply{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 1, 5}, Message: "Recipient ok"}
	replyStartTLS  = &reply{Code: 220, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: "Ready to start TLS"}
	replyHelp      = &reply{Code: 214, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY STARTTLS QUIT: see RFC 5321"}
	replyVerify    = &reply{Code: 252, EnhancedCode: smtp.EnhancedCode{2, 1, 5}, Message: "Send mail, and see"}

	replyGoAhead = &reply{Code: 354, EnhancedCode: smtp.NoEnhancedCode, Message: "Go ahead. End your data with <CR><LF>.<CR><LF>"}

	// These end the connection: 421 is the one code that may say so at any time, RFC 5321 §3.8.
	replyStopping      = &reply{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "Server is going down, try again later"}
	replyIdle          = &reply{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 4, 2}, Message: "Took too long, try again later"}
	replyTooManyConns  = &reply{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 7, 0}, Message: "Too many connections, try again later"}
	replyTooManyMails  = &reply{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 7, 0}, Message: "Too many mails on one connection, connect again"}
	replyTooManyErrors = &reply{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 7, 0}, Message: "Too many errors"}
	replyTooMuchTalk   = &reply{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 7, 0}, Message: "Too many commands without a mail"}
	replyBadProxy      = &reply{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 5}, Message: "PROXY protocol header is missing or malformed"}

	replyLater             = &reply{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "Can't keep the mail now, try again later"}
	replyCutShort          = &reply{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 4, 2}, Message: "Mail ended too early"}
	replyNoMemory          = &reply{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "Too much mail at once, try again later"}
	replyMailboxFull       = &reply{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "The operator's mailbox is full, try again later"}
	replyTooManyRecipients = &reply{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 5, 3}, Message: "Too many recipients, send the rest in another mail"}

	replyBadCommand   = &reply{Code: 500, EnhancedCode: smtp.EnhancedCode{5, 5, 2}, Message: "Command unrecognized"}
	replyBadBytes     = &reply{Code: 500, EnhancedCode: smtp.EnhancedCode{5, 5, 2}, Message: "Command has control characters or is not UTF-8"}
	replyLineTooLong  = &reply{Code: 500, EnhancedCode: smtp.EnhancedCode{5, 5, 2}, Message: "Command line too long: want " + strconv.Itoa(maxCommandLine) + " octets at most"}
	replyBareLF       = &reply{Code: 500, EnhancedCode: smtp.EnhancedCode{5, 5, 2}, Message: "Command ends in a bare LF: want CRLF"}
	replyBadPath      = &reply{Code: 501, EnhancedCode: smtp.EnhancedCode{5, 5, 2}, Message: "Syntax: MAIL FROM:<address> or RCPT TO:<address>"}
	replyBadHello     = &reply{Code: 501, EnhancedCode: smtp.EnhancedCode{5, 5, 4}, Message: "Syntax: EHLO hostname"}
	replyBadArgument  = &reply{Code: 501, EnhancedCode: smtp.EnhancedCode{5, 5, 4}, Message: "Command takes no argument"}
	replyBadParameter = &reply{Code: 501, EnhancedCode: smtp.EnhancedCode{5, 5, 4}, Message: "Malformed parameter"}
	replyBadChunk     = &reply{Code: 501, EnhancedCode: smtp.EnhancedCode{5, 5, 4}, Message: "Syntax: BDAT octets [LAST]"}
	replyBadSender    = &reply{Code: 501, EnhancedCode: smtp.EnhancedCode{5, 1, 7}, Message: "Sender address is too long or no address"}
	replyBadRecipient = &reply{Code: 501, EnhancedCode: smtp.EnhancedCode{5, 1, 3}, Message: "Recipient address is too long or no address"}

	replyNotOffered  = &reply{Code: 502, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "Command not implemented"}
	replyGreetFirst  = &reply{Code: 503, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "Send EHLO first"}
	replyMailFirst   = &reply{Code: 503, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "Send MAIL first"}
	replyNestedMail  = &reply{Code: 503, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "Sender already given: RSET begins anew"}
	replyMidChunks   = &reply{Code: 503, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "Not between the chunks of a mail"}
	replyTLSAlready  = &reply{Code: 503, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "TLS is on already"}
	replyTooBig      = &reply{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 3, 4}, Message: "Mail is too big"}
	replyNoSuchUser  = &reply{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such address here"}
	replyNeedsUTF8   = &reply{Code: 553, EnhancedCode: smtp.EnhancedCode{5, 6, 7}, Message: "Address is not ASCII: say SMTPUTF8 with MAIL"}
	replyNoRecipient = &reply{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "No valid recipients"}
	replyUnknownParm = &reply{Code: 555, EnhancedCode: smtp.EnhancedCode{5, 5, 4}, Message: "Parameter not recognized or not implemented"}
)

// appendReply appends the reply as one line.
func appendReply(dst []byte, r *reply) []byte {
	dst = strconv.AppendInt(dst, int64(r.Code), 10)
	for i, n := range r.EnhancedCode {
		if n < 0 { // none
			break
		}
		sep := byte('.')
		if i == 0 {
			sep = ' '
		}
		dst = strconv.AppendInt(append(dst, sep), int64(n), 10)
	}
	dst = append(append(dst, ' '), r.Message...)
	return append(dst, '\r', '\n')
}
