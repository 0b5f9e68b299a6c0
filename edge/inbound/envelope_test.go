package inbound

import "testing"

func TestSplitPath(t *testing.T) {
	for _, tt := range []struct {
		arg, path, params string
		ok                bool
	}{
		{"FROM:<>", "<>", "", true},
		{"from:<a@example.org>", "<a@example.org>", "", true},
		{"FROM: <a@example.org>  SIZE=1  SMTPUTF8", "<a@example.org>", "SIZE=1  SMTPUTF8", true},
		{"FROM:a@example.org SIZE=1", "a@example.org", "SIZE=1", true},
		{`FROM:<"a> b"@example.org> SIZE=1`, `<"a> b"@example.org>`, "SIZE=1", true},
		{`FROM:<"a\"> b"@example.org>`, `<"a\"> b"@example.org>`, "", true},
		{"FROM:<@relay.example.org:a@example.org>", "<@relay.example.org:a@example.org>", "", true},
		{"FROM:", "", "", false},
		{"FROM", "", "", false},
		{"", "", "", false},
		{"TO:<a@example.org>", "", "", false},
		{"FROM:<a@example.org", "", "", false},
		{"FROM:a@example.org>", "", "", false},
		{"FROM:<a@example.org>SIZE=1", "", "", false},
		{`FROM:<"a@example.org>`, "", "", false},
		{`FROM:<"a\`, "", "", false},
	} {
		path, params, ok := splitPath(tt.arg, "FROM:")
		if path != tt.path || params != tt.params || ok != tt.ok {
			t.Errorf("%q: %q, %q, %v; want %q, %q, %v", tt.arg, path, params, ok, tt.path, tt.params, tt.ok)
		}
	}
}

func TestParseChunk(t *testing.T) {
	for _, tt := range []struct {
		arg  string
		size int64
		last bool
		ok   bool
	}{
		{"0", 0, false, true},
		{"86 LAST", 86, true, true},
		{"86  last", 86, true, true},
		{"9223372036854775807", 1<<63 - 1, false, true},
		{"86 FIRST", 86, false, false},
		{"86 LAST LAST", 86, false, false},
		{"", -1, false, false},
		{"LAST", -1, false, false},
		{"-1", -1, false, false},
		{"+1", -1, false, false},
		{"1e3", -1, false, false},
		{"9223372036854775808", -1, false, false},
	} {
		size, last, err := parseChunk(tt.arg)
		if size != tt.size || last != tt.last || (err == nil) != tt.ok {
			t.Errorf("%q: %d, %v, %v; want %d, %v, ok %v", tt.arg, size, last, err, tt.size, tt.last, tt.ok)
		}
	}
}
