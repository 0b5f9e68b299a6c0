package kafka

import (
	"strconv"

	"carom/pipeline/event"
)

// What else the headers of a refined event hold, see head.go: they are those of CloudEvents 1.0, Kafka protocol binding,
// binary mode (§3.2).
const (
	headSpecVersion = "ce_specversion"
	headSource      = "ce_source"
	headContentType = "content-type"

	specVersion  = "1.0"
	sourcePrefix = "/carom/" // and the node
	contentType  = "application/json"
	headCount    = 7
)

// appendHead appends the headers of a refined event, as a record holds them. It keeps and returns a scratch buffer.
func appendHead(dst, scratch []byte, h *event.Head) (headers, kept []byte) {
	dst = appendVarint(dst, headCount)
	dst = appendHeader(dst, headSpecVersion, []byte(specVersion))
	scratch = append(scratch[:0], h.ID.String()...)
	dst = appendHeader(dst, headID, scratch)
	scratch = append(append(scratch[:0], typePrefix...), h.Kind.String()...)
	dst = appendHeader(dst, headType, scratch)
	scratch = appendEscaped(append(scratch[:0], sourcePrefix...), h.Origin.Node)
	dst = appendHeader(dst, headSource, scratch)
	scratch = h.Time.AppendRFC3339(scratch[:0])
	dst = appendHeader(dst, headTime, scratch)
	dst = appendHeader(dst, headContentType, []byte(contentType))
	scratch = strconv.AppendInt(scratch[:0], int64(h.Origin.Partition), 10)
	scratch = strconv.AppendInt(append(scratch, '/'), h.Origin.Offset, 10)
	scratch = strconv.AppendInt(append(scratch, '/'), int64(h.Origin.N), 10)
	return appendHeader(dst, headOrigin, scratch), scratch
}

func appendHeader(dst []byte, name string, value []byte) []byte {
	dst = appendVarint(dst, int64(len(name)))
	dst = append(dst, name...)
	dst = appendVarint(dst, int64(len(value)))
	return append(dst, value...)
}

// appendEscaped appends a segment of a URI (RFC 3986 §3.3): a raw record may bring any name of a node.
func appendEscaped(dst []byte, segment string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(segment) {
		switch c := segment[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
			dst = append(dst, c)
		default:
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}
