package report

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendJSON appends the fact as the JSON object of DESIGN §11 to dst, without a line end: the n-th fact, from 1,
// of file. Behind the members that each fact has come those that only some have: arrival_date, last_attempt, source_ip,
// original_ref, why.
func (f *Fact) AppendJSON(dst []byte, file string, n int) []byte {
	dst = append(dst, `{"file":`...)
	dst = appendString(dst, file)
	dst = append(dst, `,"n":`...)
	dst = strconv.AppendInt(dst, int64(n), 10)
	for _, m := range [...]struct{ name, value string }{
		{`,"kind":`, string(f.Kind)},
		{`,"recipient":`, f.Recipient},
		{`,"status":`, f.Status},
		{`,"reply_code":`, f.ReplyCode},
		{`,"action":`, f.Action},
		{`,"category":`, f.Category},
	} {
		dst = appendString(append(dst, m.name...), m.value)
	}
	if f.Hard {
		dst = append(dst, `,"hard":true`...)
	} else {
		dst = append(dst, `,"hard":false`...)
	}
	for _, m := range [...]struct{ name, value string }{
		{`,"diagnostic":`, f.Diagnostic},
		{`,"remote_mta":`, f.RemoteMTA},
		{`,"provider":`, f.Provider},
		{`,"original_message_id":`, f.OriginalMessageID},
		{`,"feedback_type":`, f.FeedbackType},
		{`,"decoder":`, f.Decoder},
		{`,"rule":`, f.Rule},
	} {
		dst = appendString(append(dst, m.name...), m.value)
	}
	for _, m := range [...]struct {
		name string
		time time.Time
	}{{`,"arrival_date":"`, f.ArrivalDate}, {`,"last_attempt":"`, f.LastAttempt}} {
		if !m.time.IsZero() {
			dst = append(dst, m.name...)
			dst = append(m.time.UTC().AppendFormat(dst, time.RFC3339), '"')
		}
	}
	for _, m := range [...]struct{ name, value string }{{`,"source_ip":`, f.SourceIP}, {`,"original_ref":`, f.OriginalRef}} {
		if m.value != "" {
			dst = appendString(append(dst, m.name...), m.value)
		}
	}
	if f.Kind == Other {
		dst = appendString(append(dst, `,"why":`...), f.Why)
	}
	return append(dst, '}')
}

// appendString appends s as a JSON string. File names may hold anything, so invalid UTF-8 is replaced.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			char, size := utf8.DecodeRuneInString(s[i:])
			if char != utf8.RuneError || size > 1 {
				i += size
				continue
			}
			dst = append(append(dst, s[start:i]...), "\ufffd"...)
			i++
			start = i
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}
