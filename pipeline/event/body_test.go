package event

import (
	"strings"
	"testing"
)

func TestCleanBody(t *testing.T) {
	for in, want := range map[string]string{
		`{}`: `{}`, " {\n \"a b\" : [ 1, \"x \\n y\" ] }\r\n": `{"a b":[1,"x \n y"]}`, `{"a":"<&>\u2028"}`: `{"a":"<&>\u2028"}`,
		``: "", `[]`: "", `null`: "", `"{}"`: "", `{`: "", `{}{}`: "", `{"a":"` + "\xff" + `"}`: "",
		`{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`: "",
		`{"a":"` + strings.Repeat("x", MaxBodyBytes) + `"}`:                 "",
	} {
		got, err := CleanBody([]byte(in))
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%.80q: got %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestOrderKey(t *testing.T) {
	a := OrderKey("acme", "Bob@Example.COM")
	if a != OrderKey("acme", "Bob@example.com.") {
		t.Error("two spellings of one address have two keys")
	}
	if a == OrderKey("acme", "bob@example.com") || a == OrderKey("other", "Bob@example.com") || a == OrderKey("", "Bob@example.com") {
		t.Error("two addresses, or two accounts, have one key")
	}
	if [12]byte(a[4:]) != [12]byte{} {
		t.Error("more than the partition is in the key")
	}
}

func TestAlertID(t *testing.T) {
	id := AlertID("acme", "alice", "bounce_rate", "3")
	for _, other := range []ID{
		AlertID("acme2", "alice", "bounce_rate", "3"), AlertID("acme", "bob", "bounce_rate", "3"),
		AlertID("acme", "alice", "complaint_rate", "3"), AlertID("acme", "alice", "bounce_rate", "5"), AlertID("acmealice", "", "bounce_rate", "3"),
	} {
		if id == other {
			t.Error("two alerts have one id")
		}
	}
	if id != AlertID("acme", "alice", "bounce_rate", "3") {
		t.Error("one alert has two ids")
	}
}
