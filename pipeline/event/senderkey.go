package event

// AppendSenderKey appends the key under which what is said of a sender stands in logs: account/sender. A slash or percent
// sign of the account is written as %2F or %25, so that no two senders share a key: a compacted log would forget one.
func AppendSenderKey(dst []byte, account, sender string) []byte {
	for i := range len(account) {
		switch account[i] {
		case '/':
			dst = append(dst, "%2F"...)
		case '%':
			dst = append(dst, "%25"...)
		default:
			dst = append(dst, account[i])
		}
	}
	dst = append(dst, '/')
	return append(dst, sender...)
}
