package kafka

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"carom/pipeline/event"
)

// The headers of an event, as the Kafka binding of CloudEvents 1.0 names them, and our extension: where the event was
// released, <partition of the raw topic>/<offset>/<n>.
const (
	headID     = "ce_id"
	headType   = "ce_type"
	headTime   = "ce_time"
	headOrigin = "ce_origin"

	typePrefix = "carom."
)

// parseHead reads the headers of an event: each of ours once, as we write them. It is zero if they are not.
func parseHead(headers []header) event.Head {
	var h event.Head
	var seen [4]bool
	once := func(i int, ok bool) bool {
		ok = ok && !seen[i]
		seen[i] = true
		return ok
	}
	for _, x := range headers {
		ok := true
		switch string(x.key) {
		case headID:
			id, err := event.ParseID(string(x.value))
			h.ID, ok = id, once(0, err == nil)
		case headType:
			name, ours := bytes.CutPrefix(x.value, []byte(typePrefix))
			kind, known := event.ParseKind(string(name))
			h.Kind, ok = kind, once(1, ours && known)
		case headTime:
			at, err := time.Parse(time.RFC3339, string(x.value))
			h.Time, ok = event.Millis(at.UnixMilli()), once(2, err == nil)
		case headOrigin:
			origin, right := parseOrigin(string(x.value))
			h.Origin, ok = origin, once(3, right)
		}
		if !ok {
			return event.Head{}
		}
	}
	if seen != [4]bool{true, true, true, true} {
		return event.Head{}
	}
	return h
}

// parseOrigin takes no other spelling than ours.
func parseOrigin(s string) (event.Origin, bool) {
	partition, rest, _ := strings.Cut(s, "/")
	offset, n, _ := strings.Cut(rest, "/")
	p, okP := parseNumber(partition, maxPartitions-1)
	o, okO := parseNumber(offset, maxOffset-1)
	i, okI := parseNumber(n, 1<<31-1)
	return event.Origin{Partition: int32(p), Offset: o, N: int32(i)}, okP && okO && okI
}

// parseNumber reads digits, without a leading zero.
func parseNumber(s string, most int64) (int64, bool) {
	if s == "" || s[0] == '0' && len(s) > 1 || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n <= most
}
