package report

// scanReply finds the reply code and the enhanced status in what an MTA said; nil where there is none.
// text may be a Diagnostic-Code, a transcript line or a sentence around a reply.
func scanReply(text []byte) (code, status []byte) {
	text = text[:min(len(text), maxMatch)]
	for i := 0; i < len(text); i++ {
		if !isDigit(text[i]) || i > 0 && (isDigit(text[i-1]) || text[i-1] == '.') {
			continue
		}
		if code == nil && codeAt(text, i) {
			code = text[i : i+3]
			i += 2
			continue
		}
		if n := statusAt(text, i); n > 0 {
			// The status that fits the code is the server's; another one is quoted from elsewhere.
			if code == nil || code[0] == text[i] {
				return code, text[i : i+n]
			}
			if status == nil {
				status = text[i : i+n]
			}
			i += n - 1
		}
	}
	return code, status
}

// codeAt reports whether text[i:] begins with a reply code (RFC 5321 §4.2) that stands where a reply begins:
// a number inside a sentence is none.
func codeAt(text []byte, i int) bool {
	if i+3 > len(text) || text[i] < '2' || text[i] > '5' || text[i] == '3' || !isReplyDigit(text[i+1]) || !isDigit(text[i+2]) {
		return false
	}
	if i+3 < len(text) {
		switch c := text[i+3]; c {
		case ' ', '-', '\r', '\n', '\t', ':', '#', ',', ']', ')', ';':
		default:
			return false
		}
	}
	for i--; i >= 0; i-- {
		switch text[i] {
		case ' ', '\t':
			continue
		case ':', ';', '<', '>', '(', '[', '\'', '"', '=', '\n', '\r':
			return true
		}
		return false
	}
	return true
}

// isReplyDigit reports whether c may be the second digit of a reply code (RFC 5321 §4.2), or that of 571, which gateways
// say for a refusal by policy.
func isReplyDigit(c byte) bool { return '0' <= c && c <= '5' || c == '7' }

// statusAt returns the length of the enhanced status (RFC 3463 §2) at text[i:], 0 if there is none. An IP
// address or a version number is none.
func statusAt(text []byte, i int) int {
	if c := text[i]; c != '2' && c != '4' && c != '5' {
		return 0
	}
	if i > 0 && !(isBlank(text[i-1]) || text[i-1] == '(' || text[i-1] == '#' || text[i-1] == '[' || text[i-1] == '<' ||
		text[i-1] == ':' || text[i-1] == '\'' || text[i-1] == '-' && i > 3 && isDigit(text[i-2]) || text[i-1] == ';' || text[i-1] == '"') {
		return 0
	}
	n := i + 1
	for group := 0; group < 2; group++ {
		if n >= len(text) || text[n] != '.' {
			return 0
		}
		n++
		digits := 0
		for n < len(text) && digits < 3 && isDigit(text[n]) {
			n++
			digits++
		}
		if digits == 0 {
			return 0
		}
	}
	if n < len(text) && (isAlnum(text[n]) || text[n] == '_' || text[n] == '.' && n+1 < len(text) && isDigit(text[n+1])) {
		return 0
	}
	return n - i
}

// statusField reads a Status field (RFC 3464 §2.3.4), which may have a comment; nil if it holds no status.
func statusField(value []byte) []byte {
	value = trim(value)
	for i := 0; i < len(value) && i < 32; i++ {
		if isDigit(value[i]) {
			if n := statusAt(value, i); n > 0 {
				return value[i : i+n]
			}
			for i < len(value) && (isDigit(value[i]) || value[i] == '.') {
				i++
			}
		}
	}
	return nil
}

// isGeneric reports whether a status says nothing but its class: "5.0.0".
func isGeneric(status []byte) bool {
	return len(status) == 5 && status[2] == '0' && status[4] == '0'
}

// chooseStatus picks between the Status field of a report, which the reporting MTA chose, and the status in
// the reply of the MTA that refused. The latter knew the reason; many MTAs map it to 5.0.0 or 4.4.7.
func chooseStatus(field, said []byte) []byte {
	if said == nil || isGeneric(said) && field != nil && !isGeneric(field) {
		return field
	}
	return said
}
