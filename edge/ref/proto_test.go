package ref

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"carom/pipeline/event"
)

// ref.proto is what others build from; this holds it against what is built here.
func TestProtoAgrees(t *testing.T) {
	text, err := os.ReadFile("ref.proto")
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]protowire.Number{
		"string account": fieldAccount, "string sender": fieldSender, "string sequence": fieldSequence,
		"string contact": fieldContact, "string message": fieldMessage, "uint32 link": fieldLink, "bytes url": fieldURL,
		"int64 sent_at": fieldSentAt, "uint32 flags": fieldFlags,
	}
	flags := map[string]event.Flags{
		"NONE": 0, "TRANSACTIONAL": event.Transactional, "ANONYMOUS": event.Anonymous, "SHARED": event.Shared,
		"UNTRACKED": event.Untracked, "HONEYPOT": event.Honeypot,
	}
	for _, m := range regexp.MustCompile(`(?m)^  (?:(\w+ \w+)|([A-Z]+)) = (\d+);`).FindAllStringSubmatch(string(text), -1) {
		n, err := strconv.Atoi(m[3])
		if err != nil {
			t.Fatal(err)
		}
		switch field, flag := m[1], m[2]; {
		case field != "" && fields[field] == protowire.Number(n):
			delete(fields, field)
		case flag != "" && flags[flag] == event.Flags(n):
			delete(flags, flag)
		default:
			t.Errorf("ref.proto has %q, the code doesn't", m[0])
		}
	}
	if len(fields) > 0 || len(flags) > 0 {
		t.Errorf("the code has %v and %v, ref.proto doesn't", fields, flags)
	}
}
